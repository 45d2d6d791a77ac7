/** Small arithmetic on directions, in double precision. */

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    sum += a[i]! * b[i]!;
  }
  return sum;
}

export const norm = (a: ArrayLike<number>): number => Math.sqrt(dot(a, a));

/** 0 where one of the two is zero. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const size = norm(a) * norm(b);
  return size === 0 ? 0 : dot(a, b) / size;
}

export const difference = (a: ArrayLike<number>, b: ArrayLike<number>): Float64Array =>
  Float64Array.from({ length: a.length }, (_, i) => a[i]! - b[i]!);

/** Mean of the rows [n, width] that are named; of all where none is. */
export function meanRow(
  x: ArrayLike<number>,
  width: number,
  rows: Iterable<number> = Array.from({ length: x.length / width }, (_, i) => i),
): Float64Array {
  const mean = new Float64Array(width);
  let count = 0;
  for (const row of rows) {
    for (let i = 0; i < width; i++) {
      mean[i]! += x[row * width + i]!;
    }
    count++;
  }
  return mean.map((sum) => sum / count);
}

/** Share of pairs (one of `high`, one of `low`) that are in order; ties count half. NaN where a side is empty. */
export function areaUnderCurve(high: ArrayLike<number>, low: ArrayLike<number>): number {
  const all = [
    ...Array.from(high, (value) => ({ value, up: true })),
    ...Array.from(low, (value) => ({ value, up: false })),
  ].sort((a, b) => a.value - b.value);
  let ranks = 0;
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (to < all.length && all[to]!.value === all[from]!.value) {
      to++;
    }
    const ups = all.slice(from, to).filter(({ up }) => up).length;
    ranks += ups * ((from + 1 + to) / 2);
    from = to;
  }
  return (ranks - (high.length * (high.length + 1)) / 2) / (high.length * low.length);
}

/** Projection of each row [n, width] on the unit vector of a direction. */
export function projectionsOf(x: ArrayLike<number>, direction: ArrayLike<number>): Float64Array {
  const [width, size] = [direction.length, norm(direction)];
  return Float64Array.from({ length: x.length / width }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < width; i++) {
      sum += x[row * width + i]! * direction[i]!;
    }
    return sum / size;
  });
}
