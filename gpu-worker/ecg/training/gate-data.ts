/** What a gate is fitted on: validation recordings under every kind and level of noise, through the trained network. */
import { stream } from '../../../shared/math/random.ts';
import { BLOCK } from '../denoise/context.ts';
import { type GateWindow, PARTS } from '../denoise/gate.ts';
import type { Denoiser } from '../denoise/network-session.ts';
import { networkWindows } from '../denoise/stretch.ts';
import type { CleanRecord, NoiseRecord } from './material.ts';
import type { Material } from './train.ts';

/** Levels in dB that count alike; beyond those that are usual on both sides, so that the gate knows them too. */
const LEVELS = [-10, -6, -3, 0, 3, 6, 10, 14, 19, 24, 30];
/** Of the combinations of kind and level, every recording takes this part, each another one. */
const SHARE = 4;
/** Samples of one mixture, as far as recording and noise have them: what is known of the half minute around counts too. */
const LENGTH = 24 * BLOCK;
/** Samples at either end of a mixture that are not counted: filters know less there than in a recording. */
const EDGE = 2 * BLOCK;

/** Joins one kind of noise, or all of equal size, at a place of its own. */
function disturbance(
  noises: readonly NoiseRecord[],
  places: Float64Array,
  length: number,
  decibels: number,
): Float64Array[] {
  const factor = 10 ** (-decibels / 20) / Math.sqrt(noises.length);
  return [0, 1].map((c) =>
    Float64Array.from({ length }, (_, i) =>
      noises.reduce((sum, { fast, slow }, k) => {
        const at = Math.floor(places[k]! * (fast[0]!.length - length)) + i;
        return sum + factor * (fast[c]![at]! + slow[c]![at]!);
      }, 0),
    ),
  );
}

/** Stretches of the recordings in turn, each under every kind at every level. */
export async function gateWindows(
  denoiser: Denoiser,
  { records, noises }: Material,
  stretches: number,
  seed: number,
): Promise<GateWindow[]> {
  const found: GateWindow[] = [];
  const kinds: (readonly NoiseRecord[])[] = [...noises.map((noise) => [noise]), noises];
  const draws = stream(seed, 'gate');
  let n = 0;
  for (let s = 0; s < stretches; s++) {
    const record = records[s % records.length]!;
    for (const [k, kind] of kinds.entries()) {
      for (const [l, decibels] of LEVELS.entries()) {
        if ((k + l + s) % SHARE !== 0) {
          continue;
        }
        const u = draws.uniform(8, { start: 8 * n++ });
        const length = [record, ...kind].reduce((least, { fast }) => Math.min(least, fast[0]!.length), LENGTH);
        const from = Math.floor(u[7]! * (record.fast[0]!.length - length));
        found.push(...(await windowsOf(denoiser, record, from, disturbance(kind, u, length, decibels))));
      }
    }
  }
  return found;
}

async function windowsOf(
  denoiser: Denoiser,
  record: CleanRecord,
  from: number,
  noise: readonly Float64Array[],
): Promise<GateWindow[]> {
  const { window } = denoiser.config;
  const clean = record.fast.map((fast, c) => noise[c]!.map((_, i) => fast[from + i]! + record.slow[c]![from + i]!));
  const leads = clean.map((lead, c) => lead.map((value, i) => value + noise[c]![i]!));
  const total = leads[0]!.length;
  const inner = [EDGE, total - EDGE] as const;
  const { windows, fast, bands } = await networkWindows(denoiser, { leads, start: 0, total }, inner);
  return windows.map(({ start, features, cleaned }) => {
    let power = 1e-3;
    for (const lead of clean) {
      for (let i = start; i < start + window; i++) {
        power += lead[i]! ** 2;
      }
    }
    return {
      leads: leads.map((_, c) => {
        const [truth, own] = [clean[c]!, fast[c]!];
        const products = new Float64Array(PARTS * PARTS);
        const parts = new Float64Array(PARTS);
        let signal = 0;
        for (let i = 0; i < window; i++) {
          const at = start + i;
          signal += truth[at]! ** 2 / power;
          parts[0] = own[at]! - truth[at]!;
          parts[1] = cleaned[c * window + i]! - own[at]!;
          bands[c]!.forEach((band, b) => {
            parts[2 + b] = band[at]!;
          });
          for (let j = 0; j < PARTS; j++) {
            for (let k = 0; k < PARTS; k++) {
              products[j * PARTS + k]! += (parts[j]! * parts[k]!) / power;
            }
          }
        }
        return { features: features[c]!, signal, products };
      }),
    };
  });
}
