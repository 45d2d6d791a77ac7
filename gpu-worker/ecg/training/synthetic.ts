/**
 * Electrocardiograms and noise from a formula (section 9.3 of the paper's page): for tests, and for machines that have no
 * recordings. Five waves per beat, and noise of the three kinds.
 */
import { stream } from '../../../shared/math/random.ts';
import { moments } from '../mixing/mix.ts';
import { NETWORK_RATE } from '../rate.ts';
import { bandPass, highPass, type Section } from '../signal/butterworth.ts';
import { zeroPhase } from '../signal/zero-phase.ts';

const CENTRES = [-0.18, -0.03, 0, 0.03, 0.28];
const WIDTHS = [0.025, 0.01, 0.012, 0.012, 0.05];
const AMPLITUDES = [
  [0.12, -0.12, 1, -0.2, 0.3],
  [-0.08, 0.05, -0.4, 0.7, 0.2],
];
const bounded = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));

/** Two leads of one patient, standardised, `seconds` long. */
export function syntheticPatient(seed: number, patient: number, seconds: number): Float64Array[] {
  const random = stream(seed, `patient/${patient}`);
  const n = Math.round(seconds * NETWORK_RATE);
  const rate = random.derive('rate').uniform(1, { low: 55, high: 100 })[0]!;
  const [shift, width, size] = ['shift', 'width', 'size'].map((part) => random.derive(part).normal(10)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const variation = random.derive('beats').normal(Math.ceil((seconds * rate) / 30) + 8);
  const leads = AMPLITUDES.map(() => new Float64Array(n));
  let at = 0.3;
  for (let beat = 0; at < seconds + 1; beat++) {
    const interval = (60 / rate) * (1 + 0.05 * variation[beat % variation.length]!);
    const stretch = Math.sqrt(interval);
    for (let w = 0; w < CENTRES.length; w++) {
      const centre = at + (CENTRES[w]! + 0.01 * shift[w]!) * stretch;
      const spread = WIDTHS[w]! * bounded(1 + 0.2 * width[w]!, 0.5, 1.6);
      const [first, last] = [centre - 5 * spread, centre + 5 * spread].map((t) => Math.round(t * NETWORK_RATE));
      for (const [c, lead] of leads.entries()) {
        const height = AMPLITUDES[c]![w]! * (1 + 0.35 * size[5 * c + w]!);
        for (let i = Math.max(0, first!); i <= Math.min(n - 1, last!); i++) {
          lead[i]! += height * Math.exp(-0.5 * ((i / NETWORK_RATE - centre) / spread) ** 2);
        }
      }
    }
    at += interval;
  }
  return leads.map(standard);
}

const standard = (values: Float64Array): Float64Array => {
  const { mean, deviation } = moments(values);
  return values.map((value) => (value - mean) / (deviation || 1));
};

export const NOISE_KINDS = ['bw', 'ma', 'em'] as const;
type NoiseKind = (typeof NOISE_KINDS)[number];

/** Two independent channels of one kind, each of unit deviation. */
export const syntheticNoise = (kind: NoiseKind, seed: number, seconds: number): Float64Array[] =>
  [0, 1].map((channel) =>
    standard(oneChannel(kind, stream(seed, `${kind}/${channel}`), Math.round(seconds * NETWORK_RATE))),
  );

type Random = ReturnType<typeof stream>;

function oneChannel(kind: NoiseKind, random: Random, n: number): Float64Array {
  const white = random.derive('white').normal(n);
  const through = (sections: readonly Section[], values: Float64Array) => zeroPhase(sections, values);
  if (kind === 'bw') {
    return through(bandPass(0.05, 0.6, NETWORK_RATE), white);
  }
  if (kind === 'ma') {
    const bursts = through(bandPass(0.05, 0.4, NETWORK_RATE), random.derive('bursts').normal(n));
    const { deviation } = moments(bursts);
    return through(bandPass(15, 120, NETWORK_RATE), white).map((value, i) => value * Math.exp(bursts[i]! / deviation));
  }
  const out = standard(through(bandPass(0.5, 8, NETWORK_RATE), white)).map((value) => 1.5 * value);
  const count = Math.ceil(n / NETWORK_RATE) + 8;
  const [gaps, lengths, sizes] = [
    random.derive('gaps').uniform(count),
    random.derive('lengths').uniform(count, { low: 0.15, high: 1 }),
    random.derive('sizes').normal(count, { deviation: 3 }),
  ];
  let at = 0;
  for (let k = 0; k < count && at < n; k++) {
    at += Math.round(-1.5 * Math.log(1 - gaps[k]!) * NETWORK_RATE);
    const length = Math.round(lengths[k]! * NETWORK_RATE);
    for (let i = 0; i < length && at + i < n; i++) {
      out[at + i]! += sizes[k]! * Math.sin((Math.PI * i) / length) ** 2;
    }
  }
  return through(highPass(0.05, NETWORK_RATE), out);
}
