/** Autoencoders of a study: trained by one recipe in one sweep, and evaluated together, through the jobs a client would run. */
import saeEvaluate from '../../../shared/jobs/sae.evaluate.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import type { LocalJobs } from '../../support/job-context.ts';

/** What the autoencoders are trained on. */
export type Subject = {
  model: Record<string, unknown>;
  hook: string;
  width: number;
  corpus: Record<string, unknown>;
  context: number;
};
type Spec = { variant: string; width: number; k: number; seed: number };

/**
 * @param evaluation what `sae.evaluate` is asked for besides
 * @returns what it says of each autoencoder, in the order of `saes`
 */
export async function trainAndEvaluate<Evaluated>(
  jobs: LocalJobs,
  { model, hook, corpus, context }: Subject,
  { steps, batch }: { steps: number; batch: number },
  saes: readonly Spec[],
  evaluation: Record<string, unknown>,
): Promise<{ evaluated: Evaluated[]; tokensPerSecond: number }> {
  const trained = await jobs.run(saeTrain, {
    model,
    hook,
    corpus,
    context,
    saes,
    steps,
    batch,
    learning_rate: 2e-3,
    dead_tokens: Math.round((steps * batch) / 10),
    feature_dashboards: false,
  });
  const ids = trained.result.saes.map(({ id }) => id);
  const { result } = await jobs.run(saeEvaluate, {
    model,
    corpus,
    split: 'held_out',
    packing: 'packed',
    context,
    saes: ids,
    ...evaluation,
  });
  // Measures that were asked for are never null, which the contract's type cannot know.
  return { evaluated: result.saes as unknown as Evaluated[], tokensPerSecond: trained.result.tokens_per_s };
}
