/** Baseline wander added to beats by peak-to-peak size, with the levels that numpy draws for the published tables. */
import { BEAT } from './beats.ts';

/** Channel and half of the wander that is trained on, and that is tested on, by version of the tables. */
const VERSIONS = { 1: { train: [0, 0], test: [1, 1] }, 2: { train: [1, 0], test: [0, 1] } } as const;
export type NoiseVersion = keyof typeof VERSIONS;

/** @param wander both channels of the recording `bw` */
export function cutWander(
  wander: readonly Float64Array[],
  version: NoiseVersion,
): Record<'train' | 'test', Float64Array> {
  const half = Math.floor(wander[0]!.length / 2);
  // The tables leave the last sample out.
  const cut = ([channel, later]: readonly [number, number]) =>
    later ? wander[channel]!.slice(half, -1) : wander[channel]!.slice(0, half);
  return { train: cut(VERSIONS[version].train), test: cut(VERSIONS[version].test) };
}

const size = (values: Float64Array): number => {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high - low;
};

/** Every beat with the next stretch of noise, `hundredths` / 100 of the beat's size. */
export function mixed(
  beats: readonly Float64Array[],
  noise: Float64Array,
  hundredths: readonly number[],
): Float64Array[] {
  let at = 0;
  return beats.map((beat, i) => {
    const stretch = noise.subarray(at, at + BEAT);
    const factor = hundredths[i]! / 100 / (size(stretch) / size(beat));
    at = at + BEAT > noise.length - BEAT ? 0 : at + BEAT;
    return beat.map((value, t) => value + factor * stretch[t]!);
  });
}
