/** A model on one text and one set of prompts, measured as often as it is steered. */
import {
  crossEntropy,
  type Intervention,
  type LanguageModel,
  meanDivergence,
  nextTokenLogits,
  type TokenRows,
  targetAccuracy,
} from '../lm/index.ts';
import { outcomeOf } from './steering.ts';

type SteeredEvaluation = {
  /** Text for cross-entropy and divergence; may be none. */
  sequences: readonly ArrayLike<number>[];
  /** After each the next token is looked at; may be none. */
  prompts: TokenRows;
  /** Token sets whose summed probability is measured. */
  sets: readonly (readonly number[])[];
  /** What should follow each prompt, and what that is compared with; none where nothing is asked. */
  answers: readonly { token: number; other: number | null }[];
  /** A plain model of the same vocabulary, from which the divergence on the text is taken. */
  reference: LanguageModel | null;
};

/** Null throughout where there is no text, prompt, answer or reference to measure it on. */
export type SteeredMeasures = {
  /** Mean next-token cross-entropy on the text, nats. */
  loss: number | null;
  perplexity: number | null;
  /** Summed probability of each set, mean over prompts. */
  probabilities: readonly number[] | null;
  /** KL(steered || plain) of the next token, mean over prompts, nats. */
  kl: number | null;
  /** Share of prompts after which the answer is the most likely token. */
  accuracy: number | null;
  /** Logit of the answer minus that of the other, mean over the answers that have one. */
  logitDifference: number | null;
  /** KL(reference || steered) of the next token, mean over the text's positions, nats. */
  referenceKl: number | null;
};

/** The plain pass is made once; what is returned measures the model with the given edits. */
export async function steeredEvaluation(
  model: LanguageModel,
  { sequences, prompts, sets, answers, reference }: SteeredEvaluation,
): Promise<(interventions: readonly Intervention[]) => Promise<SteeredMeasures>> {
  const { vocabulary } = model.architecture;
  const plain = prompts.length > 0 ? await nextTokenLogits(model, prompts) : null;
  const targets = answers.map(({ token }) => token);
  const others = answers.map(({ other }) => other);
  return async (interventions) => {
    const measured = sequences.length > 0 ? await crossEntropy(model, sequences, { interventions }) : null;
    const steered =
      plain && interventions.length > 0 ? await nextTokenLogits(model, prompts, { interventions }) : plain;
    const outcome = plain && steered && outcomeOf(steered, plain, vocabulary, sets);
    const answered = steered && targets.length > 0 ? targetAccuracy(steered, vocabulary, targets, others) : null;
    const apart = reference && (await meanDivergence(model, reference, sequences, { interventions }));
    return {
      loss: measured?.loss ?? null,
      perplexity: measured?.perplexity ?? null,
      probabilities: outcome?.probabilities ?? null,
      kl: outcome?.kl ?? null,
      accuracy: answered?.accuracy ?? null,
      logitDifference: answered?.logitDifference ?? null,
      referenceKl: apart?.kl ?? null,
    };
  };
}
