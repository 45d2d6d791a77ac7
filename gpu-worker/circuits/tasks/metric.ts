/** What is measured at the last position of a prompt: on the host of logits, and in a graph for its slopes. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import * as g from '../../graph/index.ts';
import { klDivergence, rowOf } from '../../lm/index.ts';
import type { FeedValue } from '../../runtime/index.ts';
import type { Pair } from './pair.ts';

const METRICS = ['logit_difference', 'probability_difference', 'kl'] as const;
export type Metric = (typeof METRICS)[number];
export type MetricFeeds = Record<string, FeedValue>;

/** Finite, and far below any logit. */
const LEFT_OUT = -1e30;

/**
 * The metric of one row of logits. A logit difference of sets of tokens is the log of their odds, which for single tokens is
 * the difference of their logits.
 * @param clean logits of the unpatched clean run, for the divergence from it
 */
function measure(
  metric: Metric,
  logits: Float32Array,
  { answer, other }: Pick<Pair, 'answer' | 'other'>,
  clean: Float32Array | null = null,
): number {
  switch (metric) {
    case 'logit_difference':
      return logSum(logits, answer) - logSum(logits, other);
    case 'probability_difference': {
      const whole = logSum(logits, null);
      return Math.exp(logSum(logits, answer) - whole) - Math.exp(logSum(logits, other) - whole);
    }
    case 'kl':
      if (clean === null) {
        throw new SextantError('data_invalid', 'a divergence needs the logits of the clean run');
      }
      return klDivergence(clean, logits);
    default:
      return metric satisfies never;
  }
}

/** The metric of every row of [rows, vocabulary]; row i belongs to `pairs[i]`. */
export const measureRows = (
  metric: Metric,
  logits: Float32Array,
  pairs: readonly Pair[],
  clean: Float32Array | null = null,
): Float64Array => {
  const vocabulary = logits.length / pairs.length;
  return Float64Array.from(pairs, (pair, row) =>
    measure(metric, rowOf(logits, vocabulary, row), pair, clean && rowOf(clean, vocabulary, row)),
  );
};

/** log of the sum of exp over some tokens; null: all. A single token's is its logit, exactly. */
function logSum(logits: Float32Array, tokens: readonly number[] | null): number {
  if (tokens?.length === 1) {
    return logits[tokens[0]!]!;
  }
  const values: ArrayLike<number> = tokens ? tokens.map((token) => logits[token]!) : logits;
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    largest = Math.max(largest, values[i]!);
  }
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    sum += Math.exp(values[i]! - largest);
  }
  return largest + Math.log(sum);
}

type MetricInputs = { answer: g.Tensor | null; other: g.Tensor | null; clean: g.Tensor | null };

export function metricInputs(metric: Metric, vocabulary: number): MetricInputs {
  const sets = metric !== 'kl';
  return {
    answer: sets ? g.input('answer', ['batch', vocabulary]) : null,
    other: sets ? g.input('other', ['batch', vocabulary]) : null,
    clean: sets ? null : g.input('clean', ['batch', vocabulary]),
  };
}

/** The metric [batch] of logits [batch, vocabulary] in a graph. */
export function metricOf(metric: Metric, logits: g.Tensor, { answer, other, clean }: MetricInputs): g.Tensor {
  switch (metric) {
    case 'logit_difference':
      return g.sub(g.logSumExp(g.add(logits, answer!), -1), g.logSumExp(g.add(logits, other!), -1));
    case 'probability_difference': {
      const chance = g.softmax(logits);
      const within = (mask: g.Tensor) => g.sum(g.mul(chance, g.exp(mask)), -1);
      return g.sub(within(answer!), within(other!));
    }
    case 'kl': {
      const [log, known] = [g.logSoftmax(logits), g.logSoftmax(clean!)];
      return g.sum(g.mul(g.exp(known), g.sub(known, log)), -1);
    }
    default:
      return metric satisfies never;
  }
}

/** @param clean logits of the clean run, [pairs, vocabulary] */
export function metricFeeds(
  metric: Metric,
  pairs: readonly Pair[],
  vocabulary: number,
  clean: Float32Array,
): MetricFeeds {
  const shape = [pairs.length, vocabulary];
  if (metric === 'kl') {
    return { clean: { shape, data: clean } };
  }
  const mask = (of: (pair: Pair) => readonly number[]) => {
    const data = new Float32Array(pairs.length * vocabulary).fill(LEFT_OUT);
    for (const [row, pair] of pairs.entries()) {
      for (const token of of(pair)) {
        data[row * vocabulary + token] = 0;
      }
    }
    return { shape, data };
  };
  return { answer: mask(({ answer }) => answer), other: mask(({ other }) => other) };
}
