/** Noise added to a clean recording at a chosen signal-to-noise ratio, by equation (1), in double precision. */
import { SextantError } from '../../../shared/contracts/problem.ts';

/** Leads of one recording, all of one length. */
export type Leads = readonly Float64Array[];

export type MixingUnit =
  /** One factor over all samples and leads. */
  | 'segment'
  /** One factor for every window of 256 samples; a rest is dropped. */
  | 'window';
export const MIXING_WINDOW = 256;

/** Mean square over all leads between two samples. */
export function power(leads: Leads, from = 0, to = leads[0]!.length): number {
  let sum = 0;
  for (const lead of leads) {
    for (let i = from; i < to; i++) {
      sum += lead[i]! ** 2;
    }
  }
  return sum / (leads.length * (to - from));
}

/** Population mean and standard deviation. */
export function moments(values: ArrayLike<number>): { mean: number; deviation: number } {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!;
  }
  const mean = sum / values.length;
  for (let i = 0; i < values.length; i++) {
    squares += (values[i]! - mean) ** 2;
  }
  return { mean, deviation: Math.sqrt(squares / values.length) };
}

/** Each lead to mean 0 and deviation 1; a flat lead becomes 0. */
export const standardised = (leads: Leads): Float64Array[] =>
  leads.map((lead) => {
    const { mean, deviation } = moments(lead);
    return lead.map((value) => (deviation > 0 ? (value - mean) / deviation : 0));
  });

/** Each channel minus its mean. */
const centred = (leads: Leads): Float64Array[] =>
  leads.map((lead) => {
    const { mean } = moments(lead);
    return lead.map((value) => value - mean);
  });

/**
 * Noise of one or several recordings over the same stretch: each minus its means; several are divided by their joint
 * deviation over both channels and summed.
 */
export function combinedNoise(recordings: readonly Leads[]): Float64Array[] {
  const parts = recordings.map(centred);
  if (parts.length === 1) {
    return parts[0]!;
  }
  const factors = parts.map((part) => 1 / (Math.sqrt(power(part)) || 1));
  return parts[0]!.map((lead, c) =>
    lead.map((_, i) => parts.reduce((sum, part, p) => sum + factors[p]! * part[c]![i]!, 0)),
  );
}

type Mixed = { mixed: Float64Array[]; noise: Float64Array[]; scale: number[] };

/** The factor of equation (1) over a stretch. @throws SextantError `data_invalid` where signal or noise is silent */
function noiseFactor(clean: Leads, noise: Leads, decibels: number, from?: number, to?: number): number {
  const [signal, disturbance] = [power(clean, from, to), power(noise, from, to)];
  if (signal === 0 || disturbance === 0) {
    throw new SextantError(
      'data_invalid',
      `${signal === 0 ? 'the signal' : 'the noise'} is silent; no ratio can be set`,
    );
  }
  return Math.sqrt(signal / (disturbance * 10 ** (decibels / 10)));
}

export function mix(clean: Leads, noise: Leads, decibels: number, unit: MixingUnit): Mixed {
  const samples = clean[0]!.length;
  const size = unit === 'segment' ? samples : MIXING_WINDOW;
  const length = Math.floor(samples / size) * size;
  const scale: number[] = [];
  for (let from = 0; from < length; from += size) {
    scale.push(noiseFactor(clean, noise, decibels, from, from + size));
  }
  const scaled = noise.map((lead) => Float64Array.from({ length }, (_, i) => lead[i]! * scale[Math.floor(i / size)]!));
  return { mixed: scaled.map((lead, c) => lead.map((value, i) => value + clean[c]![i]!)), noise: scaled, scale };
}
