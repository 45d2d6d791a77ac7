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
  for (let row = 0; row < w.length; row += inputs) {
    for (let i = 0; i < inputs; i++) {
      out[row + i] = Math.abs(w[row + i]!) * (norms ? norms[i]! : 1);
    }
  }
  return out;
}

/** The mask of exactly floor(share * entries) lowest scores of each group of the comparison; N:M takes n of every m. */
export function lowest(score: Float64Array, inputs: number, share: number, comparison: Comparison): Mask {
  const mask = new Uint8Array(score.length);
  if (comparison === 'matrix') {
    markLowest(score, mask, 0, score.length, Math.floor(share * score.length));
  } else if (comparison === 'row') {
    const room = new Float64Array(inputs);
    for (let from = 0; from < score.length; from += inputs) {
      markLowest(score, mask, from, from + inputs, Math.floor(share * inputs), room);
    }
  } else {
    const room = new Float64Array(comparison.m);
    for (let row = 0; row < score.length; row += inputs) {
      for (let from = 0; from < inputs; from += comparison.m) {
        const length = Math.min(comparison.m, inputs - from);
        // A last run that is shorter keeps the same share.
        const count = length === comparison.m ? comparison.n : Math.floor((comparison.n * length) / comparison.m);
        markLowest(score, mask, row + from, row + from + length, count, room);
      }
    }
  }
  return mask;
}

/** Marks the `count` lowest of a range. `room` has room for it, so that rows do not each take memory of their own. */
export function markLowest(
  score: Float64Array,
  mask: Mask,
  from: number,
  to: number,
  count: number,
  room: Float64Array = new Float64Array(to - from),
): void {
  if (count <= 0) {
    return;
  }
  const values = room.subarray(0, to - from);
  values.set(score.subarray(from, to));
  const threshold = selected(values, count - 1);
  let left = count;
  for (let i = from; i < to; i++) {
    const below = score[i]! < threshold ? 1 : 0;
    mask[i] = below;
    left -= below;
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
export function masked(w: Float32Array, mask: Mask): Float32Array {
  const out = w.slice();
  for (let i = 0; i < out.length; i++) {
    if (mask[i] === 1) {
      out[i] = 0;
    }
  }
  return out;
}
