/** Axes of numbers (linear or logarithmic) and of names: the range they show, their ticks, where a value lies. */
import { nice, ticks } from 'd3-array';

/** An axis of numbers. Without `range` it covers the data, widened to round numbers. */
type NumberAxis = { label: string; scale?: 'linear' | 'log'; range?: readonly [number, number] };
/** An axis of names; the value of a point along it is the index of a name. */
export type NameAxis = { label: string; names: readonly string[] };
export type Axis = NumberAxis | NameAxis;

type Tick = { value: number; text: string };
/** An axis with its range; `share` maps a value to 0..1 along it, or to null where it has no place; bars start at `base`. */
export type Scale = { names: boolean; ticks: Tick[]; share: (value: number) => number | null; base: number };
/** An axis as asked for, with its scale. */
export type Scaled = { axis: Axis; scale: Scale };

/** A number as ticks with a spacing of `step` show it: no more decimals than tell neighbours apart. */
export function tickText(value: number, step: number): string {
  const size = Math.max(Math.abs(value), step);
  if (value === 0) {
    return '0';
  }
  if (size >= 1e6 || size < 1e-4) {
    const digits = Math.max(0, Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(step)));
    return value.toExponential(Math.min(6, digits)).replace('e+', 'e');
  }
  return value.toFixed(Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))));
}

function linear([low, high]: readonly [number, number], count: number): Scale {
  const values = ticks(low, high, count);
  const step = values.length > 1 ? Math.abs((values.at(-1) ?? 0) - (values[0] ?? 0)) / (values.length - 1) : high - low;
  return {
    names: false,
    ticks: values.map((value) => ({ value, text: tickText(value, step) })),
    share: (value) => (Number.isFinite(value) ? (value - low) / (high - low) : null),
    base: Math.min(high, Math.max(low, 0)),
  };
}

function logarithmic([low, high]: readonly [number, number], count: number): Scale {
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const inside = (value: number) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9);
  const decades = Array.from({ length: Math.floor(to) - Math.ceil(from) + 3 }, (_, i) => Math.ceil(from) - 1 + i);
  const every = Math.max(1, Math.ceil((to - from) / count));
  const steps = to - from > 2.5 ? [1] : [1, 2, 5];
  const values = decades
    .filter((decade) => decade % every === 0)
    .flatMap((decade) => steps.map((step) => Number(`${step}e${decade}`)))
    .filter(inside);
  return {
    names: false,
    ticks: values.map((value) => ({ value, text: tickText(value, value) })),
    share: (value) => (value > 0 && Number.isFinite(value) ? (Math.log10(value) - from) / (to - from) : null),
    base: low,
  };
}

const named = (names: readonly string[]): Scale => ({
  names: true,
  ticks: names.map((text, value) => ({ value, text })),
  share: (value) => (value >= -0.5 && value <= names.length - 0.5 ? (value + 0.5) / Math.max(1, names.length) : null),
  base: 0,
});

/**
 * The scale of an axis that shows `values`, with about `count` ticks. `zero` has the range take in zero, as bars ask.
 * A logarithmic axis shows positive values alone.
 */
export function scaleOf(axis: Axis, values: readonly number[], count: number, zero = false): Scale {
  if ('names' in axis) {
    return named(axis.names);
  }
  const log = axis.scale === 'log';
  const shown = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  const [low, high] = axis.range ?? [
    shown.reduce((least, value) => Math.min(least, value), zero && !log ? 0 : Number.POSITIVE_INFINITY),
    shown.reduce((most, value) => Math.max(most, value), zero && !log ? 0 : Number.NEGATIVE_INFINITY),
  ];
  if (log) {
    if (!(low > 0 && high >= low)) {
      return logarithmic([0.1, 10], count);
    }
    if (high > low) {
      return logarithmic([low, high], count);
    }
    return logarithmic([low / 2, high * 2], count);
  }
  if (!(high >= low)) {
    return linear([0, 1], count);
  }
  if (high === low) {
    return linear(
      zero && low === 0
        ? [0, 1]
        : nice(low - Math.max(Math.abs(low) / 2, 0.5), high + Math.max(Math.abs(high) / 2, 0.5), count),
      count,
    );
  }
  return linear(axis.range ? [low, high] : nice(low, high, count), count);
}
