/** What may be wrong with one second of one lead. Every rule looks at the signal as it came, in millivolts. */

export const FLAGS = ['flat', 'saturated', 'lead_off', 'missing', 'paced_suspected', 'outside_training'] as const;
export type Flag = (typeof FLAGS)[number];

/** Values between which a share of 99.8 % of the training windows lies. */
type TrainingRange = Readonly<Record<'amplitude' | 'rate' | 'drift' | 'muscle', readonly [number, number]>>;

type SecondSignal = {
  /** The second's samples in mV, missing ones bridged, at `rate` Hz. */
  values: ArrayLike<number>;
  rate: number;
  missing: number;
  /** What the converter can give, in mV. */
  range: { low: number; high: number } | null;
  /** Known of the seconds around: rms of the fast part in mV, beats per minute (null: too few), logarithmic levels. */
  amplitude: number;
  beats: number | null;
  drift: number;
  muscle: number;
};

/** Peak to peak up to which a second is flat, mV: two steps of an 11-bit converter. */
const FLAT = 0.0101;
/** Share of the converter's range next to its ends, and share of samples there. */
const [RAIL, RAIL_SHARE] = [0.002, 0.02];
/** A clipped second stays at one extreme value for so long, s, while it moves by this much, mV. */
const [CLIPPED_S, CLIPPED_MV] = [0.02, 1];
/** Peak to peak or mean offset that no electrode on skin gives, mV. */
const [OPEN_MV, OFFSET_MV] = [15, 100];
/** A pacing spike rises over both its neighbours 5 ms away by this much, mV, and by this share of the second's height. */
const [SPIKE_S, SPIKE_MV, SPIKE_SHARE] = [0.0056, 0.5, 0.45];

export function flagsOf(second: SecondSignal, training: TrainingRange | null): Flag[] {
  const { values, rate, range } = second;
  const n = values.length;
  const flags: Flag[] = [];
  let [low, high, mean] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (let i = 0; i < n; i++) {
    low = Math.min(low, values[i]!);
    high = Math.max(high, values[i]!);
    mean += values[i]! / n;
  }
  if (second.missing > 0) {
    flags.push('missing');
  }
  if (second.missing === n) {
    return flags;
  }
  if (high - low <= FLAT) {
    flags.push('flat');
  }
  if (atRails(values, range) || clipped(values, rate, low, high)) {
    flags.push('saturated');
  }
  if (high - low > OPEN_MV || Math.abs(mean) > OFFSET_MV) {
    flags.push('lead_off');
  }
  if (hasSpike(values, rate, high - low)) {
    flags.push('paced_suspected');
  }
  if (training && isOutside(second, training)) {
    flags.push('outside_training');
  }
  return flags;
}

function atRails(values: ArrayLike<number>, range: SecondSignal['range']): boolean {
  if (!range) {
    return false;
  }
  const near = RAIL * (range.high - range.low);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i]! <= range.low + near || values[i]! >= range.high - near) {
      count++;
    }
  }
  return count >= RAIL_SHARE * values.length;
}

function clipped(values: ArrayLike<number>, rate: number, low: number, high: number): boolean {
  if (high - low < CLIPPED_MV) {
    return false;
  }
  const wanted = Math.max(4, Math.ceil(CLIPPED_S * rate));
  let [run, before] = [0, Number.NaN];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    run = value === before && (value === low || value === high) ? run + 1 : 1;
    before = value;
    if (run >= wanted) {
      return true;
    }
  }
  return false;
}

function hasSpike(values: ArrayLike<number>, rate: number, height: number): boolean {
  const step = Math.max(1, Math.round(SPIKE_S * rate));
  const least = Math.max(SPIKE_MV, SPIKE_SHARE * height);
  for (let i = step; i < values.length - step; i++) {
    const [before, after] = [values[i]! - values[i - step]!, values[i]! - values[i + step]!];
    if (before * after > 0 && Math.min(Math.abs(before), Math.abs(after)) > least) {
      return true;
    }
  }
  return false;
}

function isOutside({ amplitude, beats, drift, muscle }: SecondSignal, training: TrainingRange): boolean {
  const beyond = (value: number, [low, high]: readonly [number, number]) => value < low || value > high;
  return (
    beyond(amplitude, training.amplitude) ||
    (beats !== null && beyond(beats, training.rate)) ||
    beyond(drift, training.drift) ||
    beyond(muscle, training.muscle)
  );
}
