/**
 * Which weights are set to zero: the lowest scores of a matrix W [out, in], of each row or of each run of inputs (Wanda,
 * Sun et al. 2023, arXiv:2306.11695). Equal scores fall by lower index first.
 */

/** What entries compete with each other. */
type Comparison = 'matrix' | 'row' | { n: number; m: number };

/** 1 where a weight goes. */
export type Mask = Uint8Array;

/** |W|, or |W| times the Euclidean norm of its input. */
export function scores(w: ArrayLike<number>, inputs: number, norms: Float64Array | null): Float64Array {
  const out = new Float64Array(w.length);
  for (let i = 0; i < w.length; i++) {
    out[i] = Math.abs(w[i]!) * (norms ? norms[i % inputs]! : 1);
  }
  return out;
}

/** The mask of exactly floor(share * entries) lowest scores of each group of the comparison; N:M takes n of every m. */
export function lowest(score: Float64Array, inputs: number, share: number, comparison: Comparison): Mask {
  const mask = new Uint8Array(score.length);
  if (comparison === 'matrix') {
    markLowest(score, mask, 0, score.length, Math.floor(share * score.length));
  } else if (comparison === 'row') {
    for (let from = 0; from < score.length; from += inputs) {
      markLowest(score, mask, from, from + inputs, Math.floor(share * inputs));
    }
  } else {
    for (let row = 0; row < score.length; row += inputs) {
      for (let from = 0; from < inputs; from += comparison.m) {
        const length = Math.min(comparison.m, inputs - from);
        // A last run that is shorter keeps the same share.
        const count = length === comparison.m ? comparison.n : Math.floor((comparison.n * length) / comparison.m);
        markLowest(score, mask, row + from, row + from + length, count);
      }
    }
  }
  return mask;
}

/** Marks the `count` lowest of a range. */
export function markLowest(score: Float64Array, mask: Mask, from: number, to: number, count: number): void {
  if (count <= 0) {
    return;
  }
  const threshold = selected(score.slice(from, to), count - 1);
  let left = count;
  for (let i = from; i < to; i++) {
    if (score[i]! < threshold) {
      mask[i] = 1;
      left--;
    }
  }
  for (let i = from; i < to && left > 0; i++) {
    if (score[i] === threshold) {
      mask[i] = 1;
      left--;
    }
  }
}

/** The value at `rank` in rising order; reorders `values` (Hoare 1961, with the middle of three as pivot). */
export function selected(values: Float64Array, rank: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const [a, b, c] = [values[low]!, values[(low + high) >> 1]!, values[high]!];
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! < pivot) {
        i++;
      }
      while (values[j]! > pivot) {
        j--;
      }
      if (i <= j) {
        const held = values[i]!;
        values[i] = values[j]!;
        values[j] = held;
        i++;
        j--;
      }
    }
    if (rank <= j) {
      high = j;
    } else if (rank >= i) {
      low = i;
    } else {
      return values[rank]!;
    }
  }
  return values[rank]!;
}

/** W with the marked entries zero. */
export const masked = (w: Float32Array, mask: Mask): Float32Array => w.map((value, i) => (mask[i] ? 0 : value));
