/** The stream of activations that autoencoders learn from, in blocks large enough to shuffle. */
import { BLOCK_TOKENS } from '../../../shared/jobs/sae.train.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { ActivationSource } from './activation-source.ts';

type TrainingStream = {
  model: LanguageModel;
  hook: string;
  /** One pass over the corpus, or an endless one. */
  sequences: () => AsyncIterable<ArrayLike<number>>;
  /** Tokens per sequence at most. */
  length: number;
  /** Sequences of one forward pass. */
  pass: number;
  /** Activations per step. */
  batch: number;
  seed: number;
  normCap: number | null;
};

/** A block holds two batches at least. @throws SextantError `hook_unknown` */
export const trainingSource = ({ length, batch, ...of }: TrainingStream): ActivationSource =>
  new ActivationSource({ ...of, rows: batch, block: Math.ceil(Math.max(BLOCK_TOKENS, 2 * batch) / length) });
