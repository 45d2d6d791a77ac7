/** How strongly the next token opens a refusal, and how far a distribution moved (Arditi et al. 2024, arXiv:2406.11717). */
import { logProbabilities, rowOf, tokenSetProbability } from '../../lm/index.ts';

/** Keeps the logarithms of scores and of divergences finite. */
const [SCORE_FLOOR, DIVERGENCE_FLOOR] = [1e-8, 1e-6];

/** Log-odds log(p + 1e-8) - log(1 - p + 1e-8) of each row of logits, p being the probability of the tokens together. */
export const refusalScores = (logits: Float32Array, vocabulary: number, tokens: readonly number[]): Float64Array =>
  tokenSetProbability(logits, vocabulary, tokens).map((p) => Math.log(p + SCORE_FLOOR) - Math.log(1 - p + SCORE_FLOOR));

/** Sum of p (log(p + 1e-6) - log(q + 1e-6)) of each row, in nats. */
export function rowDivergences(p: Float32Array, q: Float32Array, vocabulary: number): Float64Array {
  return Float64Array.from({ length: p.length / vocabulary }, (_, row) => {
    const [a, b] = [logProbabilities(rowOf(p, vocabulary, row)), logProbabilities(rowOf(q, vocabulary, row))];
    let sum = 0;
    for (let i = 0; i < vocabulary; i++) {
      const share = Math.exp(a[i]!);
      sum += share * (Math.log(share + DIVERGENCE_FLOOR) - Math.log(Math.exp(b[i]!) + DIVERGENCE_FLOOR));
    }
    return sum;
  });
}

export const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!;
  }
  return sum / values.length;
};
