/** Predictions of lookahead scores whose gap factor differs between people: curved statuses and scores that are not squares. */
import { jsonPointer } from '../../contracts/problem.ts';
import { dataError } from '../data-error.ts';
import type { CompiledLookahead } from './compiled.ts';
import type { LookaheadGapColumns } from './gaps.ts';

/**
 * As `predictLookahead`, from every world's index, its pull on the others, and the status after the reaction. Raises
 * `data_invalid` (value_out_of_range) for a row with an index below the least one, in any world.
 */
export function predictShaped(
  { predictor, inputs, scm, p1, constant, drift, shape, ...c }: CompiledLookahead,
  rows: Float64Array,
  groupIds: ArrayLike<number>,
  scores: Float64Array,
  gaps?: LookaheadGapColumns,
): void {
  const { status, outer, lowest } = shape;
  const d = inputs.length;
  const values = c.statusBase.length;
  const [worlds, pulls, statuses, parts] = [0, 1, 2, 3].map(() => new Float64Array(values)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const outside = (i: number, what: string): Error =>
    dataError(
      'value_out_of_range',
      c.statusColumn < 0 ? '/columns' : jsonPointer(['columns', scm.scm.status, i]),
      what,
    );
  for (let i = 0; i < scores.length; i++) {
    const a = groupIds[i]!;
    let own = c.statusBase[a]!;
    let total = predictor.p3 + c.freeBase[a]!;
    for (let j = 0; j < d; j++) {
      const given = rows[i * d + j]!;
      const x = j === c.statusColumn ? status.inverse(given) : given;
      own += c.statusWeights[j]! * x;
      total += c.freeWeights[j]! * x;
    }
    let pull = 0;
    for (let b = 0; b < values; b++) {
      const v = own + c.shift[a * values + b]!;
      if (!(v >= lowest)) {
        throw outside(i, `row ${i} has the index ${v} in world ${b}; the predictor is made for ${lowest} and above`);
      }
      worlds[b] = v;
      const y = status.value(v);
      statuses[b] = y;
      pulls[b] = (p1 * outer.slope(y) + predictor.p2) * status.slope(v);
      pull += pulls[b]!;
      parts[b] = p1 * outer.value(y) + predictor.p2 * y;
      if (b !== a) {
        total += parts[b]!;
      }
    }
    scores[i] = total;
    if (!gaps) {
      continue;
    }
    const after = (b: number): number => status.value(worlds[b]! + (pull - pulls[b]!) / constant + drift);
    const settled = after(a);
    let [present, future, change] = [0, 0, 0];
    for (let b = 0; b < values; b++) {
      if (b === a) {
        continue;
      }
      present += Math.abs(statuses[a]! - statuses[b]!);
      future += Math.abs(settled - after(b));
      change += Math.abs(parts[a]! - parts[b]!);
    }
    if (Number.isNaN(future)) {
      throw outside(i, `the reaction takes row ${i} out of the range of the status`);
    }
    gaps.present[i] = present / (values - 1);
    gaps.future[i] = future / (values - 1);
    if (gaps.score) {
      gaps.score[i] = change / (values - 1);
    }
  }
}
