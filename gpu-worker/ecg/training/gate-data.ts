/** What a gate is fitted on: validation recordings under every kind and level of noise, through the trained network. */
import { stream } from '../../../shared/math/random.ts';
import { type GateWindow, gateFeatures } from '../denoise/gate.ts';
import type { Denoiser } from '../denoise/network-session.ts';
import { MARGIN, networkWindows } from '../denoise/stretch.ts';
import type { CleanRecord, NoiseRecord } from './material.ts';
import type { Material } from './train.ts';

/** Levels in dB that count alike. */
const LEVELS = [-4, 0, 4, 8, 12, 18, 24];
/** Of the combinations of kind and level, every recording takes this part, each another one. */
const SHARE = 2;
/** Samples of one mixture: half a minute. */
const LENGTH = 10_800;

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
        const from = Math.floor(u[7]! * (record.fast[0]!.length - LENGTH));
        found.push(...(await windowsOf(denoiser, record, from, disturbance(kind, u, LENGTH, decibels))));
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
  const piece = { leads, start: 0, total: LENGTH };
  const { windows, fast, slow } = await networkWindows(denoiser, piece, [MARGIN / 4, LENGTH - MARGIN / 4]);
  return windows.map(({ start, contexts, cleaned, corrections }) => {
    let power = 1e-3;
    for (const lead of clean) {
      for (let i = start; i < start + window; i++) {
        power += lead[i]! ** 2;
      }
    }
    return {
      leads: leads.map((_, c) => {
        const sums = { signal: 0, ee: 0, ec: 0, el: 0, cc: 0, cl: 0, ll: 0 };
        for (let i = 0; i < window; i++) {
          const [f, l] = [fast[c]![start + i]!, slow[c]![start + i]!];
          const [e, correction] = [f - clean[c]![start + i]!, cleaned[c * window + i]! - f];
          sums.signal += clean[c]![start + i]! ** 2 / power;
          sums.ee += (e * e) / power;
          sums.ec += (e * correction) / power;
          sums.el += (e * l) / power;
          sums.cc += (correction * correction) / power;
          sums.cl += (correction * l) / power;
          sums.ll += (l * l) / power;
        }
        const { window: here, around } = corrections[c]!;
        return { features: gateFeatures(contexts[c]!, here, around), ...sums };
      }),
    };
  });
}
