/** Attention masks as numbers added to the scores: 0 where a query may look, `BLOCKED` elsewhere. */

/** Finite, so that a row in which nothing may be looked at gives numbers and not NaN. */
export const BLOCKED = -1e30;

/**
 * [seq, seq]: position i looks at j <= i, and with a window of w at the last w positions, itself included.
 */
export function causalMask(seq: number, window: number | null): Float32Array {
  const mask = new Float32Array(seq * seq);
  for (let i = 0; i < seq; i++) {
    if (window !== null) {
      mask.fill(BLOCKED, i * seq, i * seq + Math.max(0, i - window + 1));
    }
    mask.fill(BLOCKED, i * seq + i + 1, (i + 1) * seq);
  }
  return mask;
}

/**
 * [batch, seq, seq]: causal masks of left-padded rows, whose first `starts[row]` positions are padding. Padding looks
 * at itself alone, which keeps its numbers finite; nobody looks at it.
 */
export function paddedMask(seq: number, window: number | null, starts: readonly number[]): Float32Array {
  const causal = causalMask(seq, window);
  const mask = new Float32Array(starts.length * seq * seq);
  for (const [row, start] of starts.entries()) {
    const part = mask.subarray(row * seq * seq, (row + 1) * seq * seq);
    part.set(causal);
    for (let i = 0; i < seq; i++) {
      part.fill(BLOCKED, i * seq, i * seq + Math.min(start, seq));
      if (i < start) {
        part[i * seq + i] = 0;
      }
    }
  }
  return mask;
}

/**
 * [batch, seq, capacity]: how `seq` new positions of each row, the first of which is number `lengths[row]`, look at a
 * cache with room for `capacity` positions of which the row fills the first `lengths[row]`.
 */
export function cacheMask(
  seq: number,
  capacity: number,
  lengths: readonly number[],
  window: number | null,
): Float32Array {
  const mask = new Float32Array(lengths.length * seq * capacity).fill(BLOCKED);
  for (const [row, length] of lengths.entries()) {
    for (let i = 0; i < seq; i++) {
      const first = window === null ? 0 : Math.max(0, length + i - window + 1);
      const at = (row * seq + i) * capacity;
      if (first < length) {
        mask.fill(0, at + first, at + length);
      }
    }
  }
  return mask;
}
