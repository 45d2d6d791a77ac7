/** Fine-tuning that keeps the model at chosen steps, each as a folder. */
import { join } from 'node:path';
import { copyFiles, KEPT_FILES, readFolder, trainLanguageModel, type WeightedSequence } from '../../lm/index.ts';

export type Tuning = {
  learningRate: number;
  batch: number;
  weightDecay: number;
  /** Weights that keep their values, by name pattern. */
  freeze: readonly string[];
  seed: number;
  threads?: number;
};

/**
 * Trains the model of a folder further at a constant rate.
 * @param sequences of context + 1 tokens, without end
 * @param keep steps after which it is kept; the last is the end
 * @param into folder of the kept models, which are called `step-N`
 * @returns the folder of each step
 */
export async function fineTune(
  folder: string,
  sequences: AsyncIterable<WeightedSequence> | Iterable<WeightedSequence>,
  { keep, context, into, ...tuning }: Tuning & { keep: readonly number[]; context: number; into: string },
  progress: (step: number) => void = () => {},
): Promise<Map<number, string>> {
  const kept = new Map<number, string>();
  // The tokenizer's files make the kept folder usable as a model on its own.
  const { config } = readFolder(folder);
  await trainLanguageModel({
    from: { folder },
    sequences,
    weighted: true,
    context,
    steps: Math.max(...keep),
    batch: tuning.batch,
    learningRate: tuning.learningRate,
    finalRate: 1,
    warmUp: 0,
    weightDecay: tuning.weightDecay,
    freeze: tuning.freeze,
    seed: tuning.seed,
    ...(tuning.threads !== undefined && { threads: tuning.threads }),
    keep: {
      steps: keep,
      take(step, save) {
        const path = join(into, `step-${step}`);
        const { torch_dtype: _old, dtype: _stored, ...rest } = config;
        save(path, { config: { ...rest, torch_dtype: 'float32' } });
        copyFiles(folder, path, KEPT_FILES);
        kept.set(step, path);
      },
    },
    progress: ({ step }) => progress(step),
  });
  return kept;
}
