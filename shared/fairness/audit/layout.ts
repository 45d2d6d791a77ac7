/** Rows of an audit laid out for repeated weighted passes: by group, sorted by prediction, with the merged order of pairs. */

type AuditColumns = {
  predictions: ArrayLike<number>;
  labels?: ArrayLike<number> | undefined;
  /** How much every row counts; 1 where left out. */
  weights?: ArrayLike<number> | undefined;
};

/** Sorted positions within one pair's rows; `gap[j]` is the distance to the next value (0 within ties and at the end). */
export type PairOrder = { a: number; b: number; row: Uint32Array; side: Uint8Array; gap: Float64Array };

/**
 * `start[g]` .. `start[g + 1]` are group g's rows, sorted by prediction. `tieEnd[i]` is 1 at the last row of equal
 * predictions of its group. `below[t][g]` counts group g's rows under threshold t. `effective[g]` is how many rows of equal
 * weight say as much as group g's do (Kish 1965): (sum w)^2 / sum w^2.
 */
export type AuditLayout = {
  counts: readonly number[];
  effective: readonly number[];
  start: Uint32Array;
  predictions: Float64Array;
  labels: Float64Array | undefined;
  weights: Float64Array | undefined;
  tieEnd: Uint8Array;
  thresholds: readonly number[];
  below: Uint32Array[];
  pairs: PairOrder[];
};

/** (sum w)^2 / sum w^2: the number of rows of equal weight that estimate a mean as well; 0 for none. */
function effectiveCount(weights: Float64Array): number {
  let [sum, square] = [0, 0];
  for (const w of weights) {
    sum += w;
    square += w * w;
  }
  return square > 0 ? sum ** 2 / square : 0;
}

/**
 * Lays out `rows` (positions in the columns, group by group with the given counts). Pairs are all of two groups, or those
 * of every other group with the `reference`.
 */
export function layOut(
  columns: AuditColumns,
  rows: Uint32Array,
  counts: readonly number[],
  thresholds: readonly number[],
  reference?: number,
): AuditLayout {
  const total = rows.length;
  const start = new Uint32Array(counts.length + 1);
  counts.forEach((count, g) => {
    start[g + 1] = start[g]! + count;
  });
  const { predictions: given, labels: givenLabels, weights: givenWeights } = columns;
  const predictions = new Float64Array(total);
  const labels = givenLabels && new Float64Array(total);
  const weights = givenWeights && new Float64Array(total);
  const tieEnd = new Uint8Array(total);
  for (let g = 0; g < counts.length; g++) {
    const own = rows.slice(start[g], start[g + 1]).sort((i, j) => given[i]! - given[j]!);
    own.forEach((row, k) => {
      const at = start[g]! + k;
      predictions[at] = given[row]!;
      if (labels && givenLabels) {
        labels[at] = givenLabels[row]!;
      }
      if (weights && givenWeights) {
        weights[at] = givenWeights[row]!;
      }
      tieEnd[at] = Number(k + 1 === own.length || given[own[k + 1]!] !== given[row]);
    });
  }
  const below = thresholds.map((t) => {
    const counted = new Uint32Array(counts.length);
    for (let g = 0; g < counts.length; g++) {
      for (let i = start[g]!; i < start[g + 1]! && predictions[i]! < t; i++) {
        counted[g]! += 1;
      }
    }
    return counted;
  });
  const pairs: PairOrder[] = [];
  for (let a = 0; a < counts.length; a++) {
    if (reference !== undefined) {
      if (a !== reference) {
        pairs.push(merge(a, reference, start, predictions));
      }
      continue;
    }
    for (let b = a + 1; b < counts.length; b++) {
      pairs.push(merge(a, b, start, predictions));
    }
  }
  const effective = weights
    ? counts.map((_, g) => effectiveCount(weights.subarray(start[g], start[g + 1])))
    : [...counts];
  return { counts, effective, start, predictions, labels, weights, tieEnd, thresholds, below, pairs };
}

function merge(a: number, b: number, start: Uint32Array, values: Float64Array): PairOrder {
  const size = start[a + 1]! - start[a]! + (start[b + 1]! - start[b]!);
  const row = new Uint32Array(size);
  const side = new Uint8Array(size);
  const gap = new Float64Array(size);
  let [i, j] = [start[a]!, start[b]!];
  for (let k = 0; k < size; k++) {
    const first = j === start[b + 1]! || (i < start[a + 1]! && values[i]! <= values[j]!);
    row[k] = first ? i++ : j++;
    side[k] = first ? 0 : 1;
    if (k > 0) {
      gap[k - 1] = values[row[k]!]! - values[row[k - 1]!]!;
    }
  }
  return { a, b, row, side, gap };
}
