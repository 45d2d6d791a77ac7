/** The stream of activations that autoencoders learn from, in blocks large enough to shuffle. */
import { BLOCK_TOKENS } from '../../../shared/jobs/sae.train.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { FileBlocks } from '../rows/file-blocks.ts';
import type { RowFiles } from '../rows/row-files.ts';
import { ActivationSource } from './activation-source.ts';
import { ModelBlocks } from './model-blocks.ts';

type BatchOptions = {
  /** Activations per step. */
  batch: number;
  seed: number;
  normCap: number | null;
};
type TrainingStream = BatchOptions & {
  model: LanguageModel;
  hook: string;
  /** One pass over the corpus, or an endless one. */
  sequences: () => AsyncIterable<ArrayLike<number>>;
  /** Tokens per sequence at most. */
  length: number;
  /** Sequences of one forward pass. */
  pass: number;
};

/** A block holds two batches at least. */
const blockRows = (batch: number): number => Math.max(BLOCK_TOKENS, 2 * batch);

/** @throws SextantError `hook_unknown` */
export function trainingSource({ length, batch, seed, normCap, ...of }: TrainingStream): ActivationSource {
  const reader = new ModelBlocks({ ...of, block: Math.ceil(blockRows(batch) / length) });
  return new ActivationSource({ reader, rows: batch, seed, normCap });
}

/** Of rows in files, with the reader that knows which are held out: `held` of them at most. */
export function fileSource(
  files: RowFiles,
  { batch, seed, normCap, held }: BatchOptions & { held: number },
): { source: ActivationSource; blocks: FileBlocks } {
  const blocks = new FileBlocks(files, { block: blockRows(batch), held, seed });
  return { source: new ActivationSource({ reader: blocks, rows: batch, seed, normCap }), blocks };
}
