/**
 * Training windows: a clean stretch, noise of one kind or a mixture from places of its own, and a ratio, drawn anew at
 * every step from the step's own random numbers, so that a resumed training sees what it would have seen.
 */
import { stream } from '../../../shared/math/random.ts';
import { BLOCK, CONTEXT, conditionsOf, describeContext, writeInput } from '../denoise/context.ts';
import type { CleanRecord, NoiseRecord, Parted } from './material.ts';

type ExampleSettings = {
  window: number;
  leads: number;
  batch: number;
  seed: number;
  /** Levels in dB of which one is drawn. */
  levels: readonly [number, number];
  mixing: MixingScope;
  /** Whether the windows are given without noise too, as the consistency step wants them. */
  consistency?: boolean;
};
/** What has the drawn ratio: recording and noise as a whole, or the stretch around the window. */
export type MixingScope = 'record' | 'window';
export type Batch = {
  /** [batch, leads + conditions, window] */
  x: Float32Array;
  /** [batch, leads, window] */
  y: Float32Array;
  /** [batch] */
  w: Float32Array;
  /** The clean windows as inputs, laid out like `x`, and what their unit is in that of `x` [batch, leads, 1]. */
  clean?: { x: Float32Array; unit: Float32Array };
};

/** Share of windows under a mixture of all kinds; the others are under one. */
const MIXTURES = 0.4;
/** Shares of windows with the other sign and with the leads in the other order: electrodes are placed in many ways. */
const [TURNED, EXCHANGED] = [0.1, 0.2];
/** Error, in squared units of the context's scale, below which windows weigh no more. */
const [WEIGHT_FLOOR, WEIGHT_POWER] = [0.02, 0.75];
/** Share of windows whose leads are turned into each other, up to this angle: leads that no electrode of theirs recorded. */
const [ROTATED, LARGEST_ANGLE] = [0.4, Math.PI / 3];
/** Share of windows at another pace, and the paces: a few people stand for slow and fast hearts. */
const [PACED, SLOWEST, FASTEST] = [0.3, 0.85, 1.2];

/** The windows of one step. */
export function drawBatch(
  records: readonly CleanRecord[],
  noises: readonly NoiseRecord[],
  settings: ExampleSettings,
  step: number,
): Batch {
  const { window, leads, batch, seed } = settings;
  const channels = leads + conditionsOf(leads);
  const draws = stream(seed, `examples/${step}`);
  const out: Batch = {
    x: new Float32Array(batch * channels * window),
    y: new Float32Array(batch * leads * window),
    w: new Float32Array(batch),
    ...(settings.consistency && {
      clean: { x: new Float32Array(batch * channels * window), unit: new Float32Array(batch * leads) },
    }),
  };
  for (let b = 0; b < batch; b++) {
    const u = draws.uniform(DRAWS, { start: b * DRAWS });
    const { clean, noisy, from } = drawContext(records, noises, settings, u);
    const contexts = noisy.fast.map((fast, c) => describeContext(fast, noisy.slow[c]!));
    writeInput(out.x, b * channels * window, { ...noisy, from, window }, contexts);
    if (out.clean) {
      const own = clean.fast.map((fast, c) => describeContext(fast, clean.slow[c]!));
      writeInput(out.clean.x, b * channels * window, { ...clean, from, window }, own);
      out.clean.unit.set(
        own.map(({ scale }, c) => scale / contexts[c]!.scale),
        b * leads,
      );
    }
    let error = 0;
    for (let c = 0; c < leads; c++) {
      for (let i = 0; i < window; i++) {
        const target = clean.fast[c]![from + i]! / contexts[c]!.scale;
        out.y[(b * leads + c) * window + i] = target;
        error += (noisy.fast[c]![from + i]! / contexts[c]!.scale - target) ** 2;
      }
    }
    out.w[b] = 0.2 * (WEIGHT_FLOOR + error / (leads * window)) ** -WEIGHT_POWER;
  }
  return out;
}

/** Numbers that one window takes. */
const DRAWS = 24;

/** A stretch of CONTEXT samples, clean and noisy. */
function drawContext(
  records: readonly CleanRecord[],
  noises: readonly NoiseRecord[],
  { levels: [low, high], mixing, window }: ExampleSettings,
  u: Float64Array,
): { clean: Parted; noisy: Parted; from: number } {
  const record = records[Math.floor(u[0]! * records.length)]!;
  const clean = stretch(record, {
    place: u[2]!,
    sign: u[3]! < TURNED ? -1 : 1,
    exchanged: u[4]! < EXCHANGED,
    pace: u[16]! < PACED ? SLOWEST * (FASTEST / SLOWEST) ** u[17]! : 1,
    angle: u[18]! < ROTATED ? LARGEST_ANGLE * (2 * u[19]! - 1) : 0,
  });
  const mixed = u[5]! < MIXTURES;
  const first = Math.floor(u[6]! * noises.length);
  const chosen = noises
    .map((noise, k) => ({ noise, share: mixed ? 1 : k === first ? 1 : 0, place: u[8 + (k % 8)]! }))
    .filter(({ share }) => share > 0);
  const from = BLOCK + Math.floor(u[1]! * (BLOCK - window + 1));
  const noise = silent(clean);
  const [sign, shift] = [u[20]! < 0.5 ? -1 : 1, u[21]! < 0.5 ? 1 : 0];
  for (const { noise: recorded, place } of chosen) {
    const at = Math.floor(place * (recorded.fast[0]!.length - CONTEXT));
    for (const part of ['fast', 'slow'] as const) {
      for (const [c, lead] of noise[part].entries()) {
        const source = recorded[part][(c + shift) % recorded[part].length]!;
        for (let i = 0; i < CONTEXT; i++) {
          lead[i]! += sign * source[at + i]!;
        }
      }
    }
  }
  const decibels = low + (high - low) * u[7]!;
  // Recordings of signal and noise have a power of 1 as a whole.
  const ratio =
    mixing === 'record' ? 1 / chosen.length : windowPower(clean, from, window) / windowPower(noise, from, window);
  const factor = Math.sqrt(ratio) * 10 ** (-decibels / 20);
  const sum = (part: 'fast' | 'slow') =>
    clean[part].map((lead, c) => lead.map((value, i) => value + factor * noise[part][c]![i]!));
  return { clean, noisy: { fast: sum('fast'), slow: sum('slow') }, from };
}

const silent = ({ fast, slow }: Parted): Parted => ({
  fast: fast.map(({ length }) => new Float64Array(length)),
  slow: slow.map(({ length }) => new Float64Array(length)),
});

/** Power of the whole signal within a window, over all leads. */
function windowPower({ fast, slow }: Parted, from: number, window: number): number {
  let sum = 1e-9;
  for (const [c, lead] of fast.entries()) {
    for (let i = from; i < from + window; i++) {
      sum += (lead[i]! + slow[c]![i]!) ** 2;
    }
  }
  return sum;
}

type Variation = { place: number; sign: number; exchanged: boolean; pace: number; angle: number };

/** CONTEXT samples of a recording, as another heart and other electrodes might have given them. */
function stretch({ fast, slow }: Parted, { place, sign, exchanged, pace, angle }: Variation): Parted {
  const start = Math.floor(place * (fast[0]!.length - Math.ceil(pace * CONTEXT) - 1));
  const cut = (leads: readonly Float64Array[]) => {
    const parts = leads.map((lead) =>
      Float64Array.from({ length: CONTEXT }, (_, i) => {
        const at = start + Math.floor(i * pace);
        const share = i * pace - Math.floor(i * pace);
        return sign * ((1 - share) * lead[at]! + share * lead[at + 1]!);
      }),
    );
    const turned = angle === 0 ? parts : rotated(parts, angle);
    return exchanged ? turned.reverse() : turned;
  };
  return { fast: cut(fast), slow: cut(slow) };
}

/** The first two leads turned into each other; their joint power stays. */
function rotated(leads: readonly Float64Array[], angle: number): Float64Array[] {
  const [first, second, ...others] = leads as [Float64Array, Float64Array, ...Float64Array[]];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [
    first.map((value, i) => cos * value + sin * second[i]!),
    second.map((value, i) => cos * value - sin * first[i]!),
    ...others,
  ];
}
