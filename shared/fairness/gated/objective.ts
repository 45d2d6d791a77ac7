/**
 * The expected routed loss, (1/n) sum_i sum_k G_k(x_i) l_ik with G = softmax(a / T), and its gate gradient. It is not the
 * mixture likelihood: that one rewards blending heads, and a hard gate would no longer be optimal for it.
 */

/** Softmax of `logits / temperature` into `out` (K). */
export function softGate(logits: ArrayLike<number>, temperature: number, out: Float64Array): void {
  let top = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < out.length; k++) {
    top = Math.max(top, logits[k]!);
  }
  let total = 0;
  for (let k = 0; k < out.length; k++) {
    out[k] = Math.exp((logits[k]! - top) / temperature);
    total += out[k]!;
  }
  for (let k = 0; k < out.length; k++) {
    out[k]! /= total;
  }
}

/**
 * Gradient of sum_j G_j l_j with respect to the logits: G_k (l_k - sum_j G_j l_j) / T, into `out`; returns the routed
 * loss. Rows move to heads whose loss on them is below their average.
 */
export function gateGradient(
  gate: ArrayLike<number>,
  losses: ArrayLike<number>,
  temperature: number,
  out: Float64Array,
): number {
  let mean = 0;
  for (let k = 0; k < out.length; k++) {
    mean += gate[k]! * losses[k]!;
  }
  for (let k = 0; k < out.length; k++) {
    out[k] = (gate[k]! * (losses[k]! - mean)) / temperature;
  }
  return mean;
}
