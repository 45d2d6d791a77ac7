/** What adding a direction to the residual stream does to the next token, over a set of prompts and strengths. */

import {
  type Intervention,
  klDivergence,
  type LanguageModel,
  nextTokenLogits,
  rowOf,
  type TokenRows,
  tokenSetProbability,
} from '../lm/index.ts';

type SteeredOutcome = {
  /** Summed probability of each token set, mean over prompts. */
  probabilities: number[];
  /** KL divergence of the steered from the plain next-token distribution, mean over prompts, nats. */
  kl: number;
};

/** Compares a steered pass with plain logits [prompts, vocabulary]. */
export async function steeredOutcome(
  model: LanguageModel,
  prompts: TokenRows,
  interventions: readonly Intervention[],
  sets: readonly (readonly number[])[],
  plain: Float32Array,
): Promise<SteeredOutcome> {
  const logits = interventions.length === 0 ? plain : await nextTokenLogits(model, prompts, { interventions });
  return outcomeOf(logits, plain, model.architecture.vocabulary, sets);
}

/** Compares logits [prompts, vocabulary] with plain ones. */
export function outcomeOf(
  logits: Float32Array,
  plain: Float32Array,
  vocabulary: number,
  sets: readonly (readonly number[])[],
): SteeredOutcome {
  const prompts = logits.length / vocabulary;
  let kl = 0;
  for (let row = 0; row < prompts; row++) {
    kl += klDivergence(rowOf(logits, vocabulary, row), rowOf(plain, vocabulary, row)) / prompts;
  }
  const probabilities = sets.map((set) => {
    const each = tokenSetProbability(logits, vocabulary, set);
    return each.reduce((sum, p) => sum + p, 0) / each.length;
  });
  return { probabilities, kl };
}

type CalibrationPoint = {
  /** In units of the mean residual norm at the hook. */
  strength: number;
  positive_probability: number;
  negative_probability: number;
  kl: number;
};

/** The curve of both poles' probabilities over signed strengths, 0 included, in ascending order. */
export async function calibrate(
  model: LanguageModel,
  {
    hook,
    direction,
    residualNorm,
    prompts,
    positive,
    negative,
    strengths,
  }: {
    hook: string;
    direction: Float32Array;
    residualNorm: number;
    prompts: TokenRows;
    positive: readonly number[];
    negative: readonly number[];
    strengths: readonly number[];
  },
): Promise<CalibrationPoint[]> {
  const plain = await nextTokenLogits(model, prompts);
  const signed = [...new Set([0, ...strengths, ...strengths.map((strength) => -strength)])].sort((a, b) => a - b);
  const curve: CalibrationPoint[] = [];
  for (const strength of signed.map((value) => value + 0)) {
    const add: Intervention = { kind: 'add', hook, vector: direction, strength: strength * residualNorm };
    const edits = strength === 0 ? [] : [add];
    const { probabilities, kl } = await steeredOutcome(model, prompts, edits, [positive, negative], plain);
    curve.push({ strength, positive_probability: probabilities[0]!, negative_probability: probabilities[1]!, kl });
  }
  return curve;
}

/**
 * The smallest positive strength that reaches 90 % of the largest gain in the positive pole's probability, or null where
 * no strength gains anything: more would only cost divergence.
 */
export function calibratedStrength(curve: readonly CalibrationPoint[]): number | null {
  const plain = curve.find(({ strength }) => strength === 0)?.positive_probability ?? 0;
  const gains = curve.filter(({ strength }) => strength > 0).map((p) => [p.strength, p.positive_probability - plain]);
  const best = Math.max(0, ...gains.map(([, gain]) => gain!));
  if (best <= 0) {
    return null;
  }
  return gains.find(([, gain]) => gain! >= 0.9 * best)![0]!;
}
