/** Choosing the next token from a row of logits. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { argMax } from '../evaluate.ts';

export type SamplingOptions = {
  /** 0 (the default) takes the most likely token. */
  temperature?: number;
  /** Only the k most likely tokens. */
  topK?: number;
  /** Only the most likely tokens whose probabilities first add up to this. */
  topP?: number;
  /** Above 1, tokens that occurred already become less likely (Keskar et al. 2019). */
  repetitionPenalty?: number;
};

/** @throws SextantError `data_invalid` naming the option */
export function checkSampling({ temperature = 0, topK, topP, repetitionPenalty = 1 }: SamplingOptions): void {
  const refuse = (what: string) => new SextantError('data_invalid', what);
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw refuse(`temperature ${temperature}; it must be at least 0`);
  }
  if (topK !== undefined && !(Number.isInteger(topK) && topK > 0)) {
    throw refuse(`top-k ${topK}; it must be positive`);
  }
  if (topP !== undefined && !(topP > 0 && topP <= 1)) {
    throw refuse(`top-p ${topP}; it must lie in (0, 1]`);
  }
  if (!(repetitionPenalty > 0)) {
    throw refuse(`repetition penalty ${repetitionPenalty}; it must be positive`);
  }
}

/**
 * The next token. `logits` is not changed; `seen` are the tokens so far; `uniform` is a number in [0, 1), used only
 * when the temperature is above 0.
 */
export function sample(
  logits: Float32Array,
  { temperature = 0, topK, topP, repetitionPenalty = 1 }: SamplingOptions,
  seen: Iterable<number>,
  uniform: () => number,
): number {
  let scores = logits;
  if (repetitionPenalty !== 1) {
    scores = Float32Array.from(logits);
    for (const token of new Set(seen)) {
      scores[token] = logits[token]! > 0 ? logits[token]! / repetitionPenalty : logits[token]! * repetitionPenalty;
    }
  }
  if (temperature === 0) {
    return argMax(scores);
  }
  const order = candidates(scores, topK);
  if (topK !== undefined || topP !== undefined) {
    order.sort((a, b) => scores[b]! - scores[a]! || a - b);
  }
  if (topK !== undefined) {
    order.length = Math.min(order.length, topK);
  }
  const largest = order.reduce((best, token) => Math.max(best, scores[token]!), Number.NEGATIVE_INFINITY);
  const weights = order.map((token) => Math.exp((scores[token]! - largest) / temperature));
  let total = weights.reduce((a, b) => a + b, 0);
  let count = order.length;
  if (topP !== undefined && topP < 1) {
    let sum = 0;
    count = 0;
    while (count < order.length && sum < topP * total) {
      sum += weights[count++]!;
    }
    total = sum;
  }
  let left = uniform() * total;
  for (let i = 0; i < count; i++) {
    left -= weights[i]!;
    if (left < 0) {
      return order[i]!;
    }
  }
  return order[count - 1]!;
}

/** All tokens, or those that score no less than the k-th best. Sorting numbers is far cheaper than sorting tokens. */
function candidates(scores: Float32Array, topK: number | undefined): number[] {
  const order: number[] = [];
  const kept = topK === undefined || topK >= scores.length ? undefined : scores.toSorted().at(-topK);
  const least = kept ?? Number.NEGATIVE_INFINITY;
  for (let token = 0; token < scores.length; token++) {
    if (scores[token]! >= least) {
      order.push(token);
    }
  }
  return order;
}

/** The `count` tokens of the highest scores, the best first; of equal ones the first. */
export function likeliest(scores: Float32Array, count: number): number[] {
  const best: number[] = [];
  for (let token = 0; token < scores.length && count > 0; token++) {
    if (best.length === count && scores[token]! <= scores[best[count - 1]!]!) {
      continue;
    }
    const place = best.findIndex((other) => scores[token]! > scores[other]!);
    best.splice(place < 0 ? best.length : place, 0, token);
    best.length = Math.min(best.length, count);
  }
  return best;
}
