/** How alike two lists of effects are. */

/** Null where one of the two does not vary. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const n = a.length;
  let [meanA, meanB] = [0, 0];
  for (let i = 0; i < n; i++) {
    meanA += a[i]! / n;
    meanB += b[i]! / n;
  }
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[i]! - meanA, b[i]! - meanB];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : null;
}

/** Of ranks; equal values share theirs. */
export const spearman = (a: ArrayLike<number>, b: ArrayLike<number>): number | null => pearson(ranks(a), ranks(b));

function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const out = new Float64Array(values.length);
  for (let i = 0; i < order.length; ) {
    let j = i;
    while (j < order.length && values[order[j]!] === values[order[i]!]) {
      j++;
    }
    for (let k = i; k < j; k++) {
      out[order[k]!] = (i + j - 1) / 2;
    }
    i = j;
  }
  return out;
}

/** |A and B| / |A or B|; 1 of two empty sets. */
export function jaccard<T>(a: Iterable<T>, b: Iterable<T>): number {
  const [first, second] = [new Set(a), new Set(b)];
  const both = [...first].filter((item) => second.has(item)).length;
  const either = first.size + second.size - both;
  return either === 0 ? 1 : both / either;
}

/** Numbers of the largest values by size. */
export const largest = (values: ArrayLike<number>, count: number): number[] =>
  Array.from(values, (_, i) => i)
    .sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!))
    .slice(0, count);
