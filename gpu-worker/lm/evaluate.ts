/** Evaluation of a language model: cross-entropy, divergence from a reference, probabilities of chosen tokens. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { logitPositions } from '../../shared/models/pass-size.ts';
import { passes } from './inference/activations.ts';
import type { TokenRows } from './inference/batch.ts';
import type { Intervention } from './inference/interventions.ts';
import type { LanguageModel } from './inference/model.ts';
import type { ForwardResult } from './inference/pass.ts';

export type CrossEntropy = {
  /** Mean over predicted tokens, nats. */
  loss: number;
  perplexity: number;
  tokens: number;
};

/** `weights[i]` says how much predicting `ids[i]` counts; all 1 by default. */
export type WeightedSequence = { ids: ArrayLike<number>; weights?: ArrayLike<number> };

/**
 * Mean cross-entropy of the next token over sequences, each on its own; sums are float64.
 * @throws SextantError `data_invalid` where no token is predicted
 */
export function crossEntropy(
  model: LanguageModel,
  sequences: AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
  options: CrossEntropyOptions = {},
): Promise<CrossEntropy> {
  return weightedCrossEntropy(model, unweighted(sequences), options);
}

async function* unweighted(
  sequences: AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
): AsyncGenerator<WeightedSequence> {
  for await (const ids of sequences) {
    yield { ids };
  }
}

type CrossEntropyOptions = {
  batch?: number;
  interventions?: readonly Intervention[];
  progress?: (tokens: number) => void;
};

/**
 * As `crossEntropy`, as a weighted mean; `tokens` counts those whose weight is not 0.
 * @throws SextantError `data_invalid` where no token is predicted
 */
export async function weightedCrossEntropy(
  model: LanguageModel,
  sequences: AsyncIterable<WeightedSequence> | Iterable<WeightedSequence>,
  options: CrossEntropyOptions = {},
): Promise<CrossEntropy> {
  let total = 0;
  let weight = 0;
  let tokens = 0;
  for await (const rows of passes(
    model,
    sequences,
    options.batch ?? 8,
    logitPositions(model.architecture.vocabulary),
  )) {
    const { losses, seq, starts } = await model.forward({
      ids: rows.map(({ ids }) => ids),
      losses: true,
      logits: 'none',
      interventions: options.interventions ?? [],
    });
    for (const [r, { ids, weights }] of rows.entries()) {
      for (let i = 1; i < ids.length; i++) {
        const share = weights?.[i] ?? 1;
        if (share === 0) {
          continue;
        }
        // The loss of a token stands where it is predicted.
        total += share * losses![r * seq + starts[r]! + i - 1]!;
        weight += share;
        tokens++;
      }
    }
    options.progress?.(tokens);
  }
  if (tokens === 0) {
    throw new SextantError('data_invalid', 'there is no token to predict: sequences have two or more');
  }
  return { loss: total / weight, perplexity: Math.exp(total / weight), tokens };
}

/**
 * Mean over all positions of KL(reference || model) in nats, of the next-token distributions that the two give on the
 * same sequences; either may be steered. The reference may be the model itself.
 * @throws SextantError `tokenizer_mismatch` where the vocabularies differ
 */
export async function meanDivergence(
  model: LanguageModel,
  reference: LanguageModel,
  sequences: AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
  options: {
    batch?: number;
    interventions?: readonly Intervention[];
    referenceInterventions?: readonly Intervention[];
  } = {},
): Promise<{ kl: number; tokens: number }> {
  const { interventions = [], referenceInterventions = [] } = options;
  const { vocabulary } = reference.architecture;
  let total = 0;
  let tokens = 0;
  for await (const ids of passes(model, sequences, options.batch ?? 4, logitPositions(vocabulary))) {
    const there = await reference.forward({ ids, interventions: referenceInterventions });
    const here = await model.forward({ ids, interventions });
    for (let row = 0; row < there.batch; row++) {
      for (let i = there.starts[row]!; i < there.seq; i++) {
        const at = row * there.seq + i;
        total += klDivergence(
          rowOf(logitsOf(there), vocabulary, at),
          rowOf(logitsOf(here), model.architecture.vocabulary, at),
        );
        tokens++;
      }
    }
  }
  if (tokens === 0) {
    throw new SextantError('data_invalid', 'no sequence to compare on');
  }
  return { kl: total / tokens, tokens };
}

/** @throws RangeError for a pass that was asked for none */
function logitsOf({ logits }: ForwardResult): Float32Array {
  if (!logits) {
    throw new RangeError('the pass gave no logits');
  }
  return logits.data;
}

/** Logits [rows, vocabulary] at the last position of each prompt. */
export async function nextTokenLogits(
  model: LanguageModel,
  prompts: TokenRows,
  options: { batch?: number; interventions?: readonly Intervention[] } = {},
): Promise<Float32Array> {
  const { vocabulary } = model.architecture;
  const all = new Float32Array(prompts.length * vocabulary);
  let done = 0;
  for await (const ids of passes(model, prompts, options.batch ?? 16)) {
    const last = await model.forward({ ids, logits: 'last', interventions: options.interventions ?? [] });
    all.set(logitsOf(last), done * vocabulary);
    done += ids.length;
  }
  return all;
}

/** log of the sum of exp over one row of logits, in float64: a token's log-probability is its logit minus this. */
function logNormaliser(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i]! > largest) {
      largest = logits[i]!;
    }
  }
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    sum += Math.exp(logits[i]! - largest);
  }
  return largest + Math.log(sum);
}

/** log softmax of one row of logits, in float64. */
export function logProbabilities(logits: Float32Array): Float64Array {
  const normaliser = logNormaliser(logits);
  const out = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i++) {
    out[i] = logits[i]! - normaliser;
  }
  return out;
}

/** Row `row` of [rows, vocabulary]. */
export const rowOf = (logits: Float32Array, vocabulary: number, row: number): Float32Array =>
  logits.subarray(row * vocabulary, (row + 1) * vocabulary);

/** KL divergence KL(p || q) in nats of two rows of logits. */
export function klDivergence(p: Float32Array, q: Float32Array): number {
  if (p.length !== q.length) {
    throw new SextantError(
      'tokenizer_mismatch',
      `vocabularies of ${p.length} and ${q.length} tokens cannot be compared`,
    );
  }
  const [logP, logQ] = [logProbabilities(p), logProbabilities(q)];
  return logP.reduce((sum, value, i) => sum + Math.exp(value) * (value - logQ[i]!), 0);
}

/** The probability of each row's next token being one of `tokens`. */
export function tokenSetProbability(logits: Float32Array, vocabulary: number, tokens: readonly number[]): Float64Array {
  return Float64Array.from({ length: logits.length / vocabulary }, (_, row) => {
    const log = logProbabilities(rowOf(logits, vocabulary, row));
    return [...new Set(tokens)].reduce((sum, token) => sum + Math.exp(log[token]!), 0);
  });
}

/**
 * Share of rows whose most likely next token is the target, and the mean logit difference target - other over the rows
 * that have another; null where none has.
 */
export function targetAccuracy(
  logits: Float32Array,
  vocabulary: number,
  targets: readonly number[],
  others: readonly (number | null)[] = [],
): { accuracy: number; logitDifference: number | null } {
  let right = 0;
  let difference = 0;
  let compared = 0;
  for (const [r, target] of targets.entries()) {
    const row = rowOf(logits, vocabulary, r);
    if (argMax(row) === target) {
      right++;
    }
    const other = others[r] ?? null;
    if (other === null) {
      continue;
    }
    difference += row[target]! - row[other]!;
    compared++;
  }
  return { accuracy: right / targets.length, logitDifference: compared > 0 ? difference / compared : null };
}

/** Position of the largest element; the first of equals. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (values[i]! > values[best]!) {
      best = i;
    }
  }
  return best;
}
