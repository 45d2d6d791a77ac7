/** What annotated beats say of a cleaned lead: the ST level of normal ones, and normal against ventricular ones. */
import { readFileSync } from 'node:fs';
import { parseWfdbAnnotations } from '../../../shared/formats/wfdb/annotations.ts';
import { logisticRegression } from '../../../shared/math/logistic.ts';
import { data } from '../../support/guide.ts';

export type Beat = { sample: number; kind: 'N' | 'V' | 'other' };

/** Symbols of beats, and those of the two classes of ANSI/AAMI EC57. */
const BEATS = new Set([...'NLRaVFJASEj/Qefn']);
const [NORMAL, VENTRICULAR] = [new Set([...'NLRej']), new Set([...'VE'])];

export const annotatedBeats = (record: string, samples: number): Beat[] =>
  parseWfdbAnnotations(readFileSync(data('ecg', 'mitdb', `${record}.atr`)))
    .filter(({ symbol, sample }) => BEATS.has(symbol) && sample < samples)
    .map(({ sample, symbol }) => ({
      sample,
      kind: NORMAL.has(symbol) ? 'N' : VENTRICULAR.has(symbol) ? 'V' : 'other',
    }));

/** Samples at 360 Hz around the annotation: the PR segment before, and 60 to 80 ms behind the usual end of the QRS complex. */
const [PR, ST] = [
  [-29, -22],
  [36, 43],
] as const;

const meanOver = (lead: Float64Array, at: number, [from, to]: readonly [number, number]): number => {
  let sum = 0;
  for (let i = at + from; i < at + to; i++) {
    sum += lead[i]!;
  }
  return sum / (to - from);
};

/** Mean absolute error of the ST level against the PR segment over normal beats, in the leads' unit. */
export function stLevelError(clean: Float64Array, output: Float64Array, beats: readonly Beat[]): number {
  let [sum, count] = [0, 0];
  for (const { sample, kind } of beats) {
    if (kind === 'N' && sample + PR[0] >= 0 && sample + ST[1] <= clean.length) {
      const level = (lead: Float64Array) => meanOver(lead, sample, ST) - meanOver(lead, sample, PR);
      sum += Math.abs(level(output) - level(clean));
      count++;
    }
  }
  return sum / count;
}

/** Samples of a beat, every fourth of them. */
const [BEFORE, AFTER, THIN] = [-90, 144, 4];
const WIDTH = (AFTER - BEFORE) / THIN;

/** A beat without its mean. */
function shape(lead: Float64Array, at: number): Float64Array {
  const values = Float64Array.from({ length: WIDTH }, (_, i) => lead[at + BEFORE + THIN * i]!);
  const mean = values.reduce((sum, value) => sum + value, 0) / WIDTH;
  return values.map((value) => value - mean);
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
const product = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** Numbers per beat and lead, and of its intervals. */
const PER_LEAD = 4;
const FEATURES = 2 * PER_LEAD + 2;
type BeatTable = { x: Float64Array; y: number[] };

/**
 * Beats by how they differ from the recording's median beat, which is found in the same signal, so that people with other
 * electrodes compare; and by their intervals, as annotated.
 */
export function beatTable(leads: readonly Float64Array[], beats: readonly Beat[]): BeatTable {
  const used = beats
    .map((beat, i) => ({
      ...beat,
      before: beat.sample - (beats[i - 1]?.sample ?? Number.NaN),
      after: (beats[i + 1]?.sample ?? Number.NaN) - beat.sample,
    }))
    .filter(
      ({ sample, kind, before, after }) =>
        kind !== 'other' && before > 0 && after > 0 && sample + BEFORE >= 0 && sample + AFTER <= leads[0]!.length,
    );
  const usual = median(used.map(({ before }) => before));
  const x = new Float64Array(used.length * FEATURES);
  for (const [c, lead] of leads.entries()) {
    const shapes = used.map(({ sample }) => shape(lead, sample));
    const typical = Float64Array.from({ length: WIDTH }, (_, i) => median(shapes.map((values) => values[i]!)));
    const norm = Math.sqrt(product(typical, typical)) || 1;
    const inner = (values: Float64Array) => values.subarray(-BEFORE / THIN - 14, -BEFORE / THIN + 15);
    for (const [n, values] of shapes.entries()) {
      const size = Math.sqrt(product(values, values)) || 1e-9;
      const at = n * FEATURES + c * PER_LEAD;
      x[at] = product(values, typical) / size / norm;
      x[at + 1] = Math.log(size / norm);
      x[at + 2] = Math.abs(x[at + 1]!);
      x[at + 3] =
        Math.sqrt(
          product(
            inner(values).map((v, i) => v - inner(typical)[i]!),
            inner(values).map((v, i) => v - inner(typical)[i]!),
          ),
        ) / norm;
    }
  }
  for (const [n, { before, after }] of used.entries()) {
    x[n * FEATURES + 2 * PER_LEAD] = Math.log(before / usual);
    x[n * FEATURES + 2 * PER_LEAD + 1] = Math.log(after / usual);
  }
  return { x, y: used.map(({ kind }) => (kind === 'V' ? 1 : 0)) };
}

/** Learns from clean beats to tell ventricular ones from normal ones. */
export function beatClassifier(
  tables: readonly BeatTable[],
): (table: BeatTable) => { hits: number; both: number; wrong: number; count: number } {
  const x = Float64Array.from(tables.flatMap((table) => [...table.x]));
  const y = tables.flatMap((table) => table.y);
  const coefficients = logisticRegression(x, y, FEATURES, { l2: 1e-3 });
  return (table) => {
    const score = { hits: 0, both: 0, wrong: 0, count: table.y.length };
    for (const [n, truth] of table.y.entries()) {
      let sum = coefficients[FEATURES]!;
      for (let i = 0; i < FEATURES; i++) {
        sum += coefficients[i]! * table.x[n * FEATURES + i]!;
      }
      const said = sum > 0 ? 1 : 0;
      score.hits += said * truth;
      score.both += said + truth;
      score.wrong += said === truth ? 0 : 1;
    }
    return score;
  };
}
