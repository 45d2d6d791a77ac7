/** All tasks on one set of labelled texts. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { splitRows } from '../../study/index.ts';
import type { Encoder } from '../codes/encoder.ts';
import type { TrainedSae } from '../measures/evaluate.ts';
import { type LabelledText, poolTexts } from './pooled.ts';
import { denseProbing, type Perturbation, sparseProbing, spuriousRemoval, targetedPerturbation } from './probing.ts';

type LabelledTasks = {
  name: string;
  texts: number;
  /** Texts that the accuracies are measured on. */
  tested: number;
  /** Accuracy of always answering the more frequent of class and rest, mean over the classes. */
  chance: number;
  /** Means over the classes, each against the rest. */
  probing: { k: number; accuracy: number }[];
  dense_accuracy: number;
  tpp: Perturbation[] | null;
  scr: Perturbation[] | null;
};

const PROBED = [1, 2, 5] as const;
const REMOVED = [2, 5, 10, 20, 50] as const;
const SHARES = { train: 0.7, test: 0.3 };

/** @throws SextantError `data_invalid` where all texts have one label, or one side of a class has no text to learn from */
export async function labelledTasks(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  { name, texts }: { name: string; texts: readonly LabelledText[] },
  { encoder, seed }: { encoder: Encoder; seed: number },
): Promise<LabelledTasks> {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const keys = texts.map((_, row) => String(row));
  const split = splitRows(keys, SHARES, stream(seed, `labelled/${name}`));
  const labels = texts.map(({ label }) => label);
  const classes = [...new Set(labels)].sort();
  const few = classes.find((label) => !split.train.some((row) => labels[row] === label));
  if (classes.length < 2 || few !== undefined) {
    const what = few === undefined ? `every text is labelled '${classes[0]}'` : `too few texts are labelled '${few}'`;
    throw new SextantError('data_invalid', `labelled texts '${name}': ${what}`);
  }
  const pooled = await poolTexts(model, hook, sae, texts, encoder);
  // With two classes, one against the rest is the other against the rest.
  const targets = (classes.length === 2 ? classes.slice(1) : classes).map((label) =>
    labels.map((own): number => (own === label ? 1 : 0)),
  );
  const frequent = (y: readonly number[]) => {
    const share = mean(split.test.map((row) => y[row]!));
    return Math.max(share, 1 - share);
  };
  const results = targets.map((y) => sparseProbing(pooled, y, split, PROBED));
  const { decoder, width } = sae.parameters;
  const removed = REMOVED.filter((count) => count <= width);
  return {
    name,
    texts: texts.length,
    tested: split.test.length,
    chance: mean(targets.map(frequent)),
    probing: PROBED.map((k, i) => ({ k, accuracy: mean(results.map((result) => result[i]!.accuracy)) })),
    dense_accuracy: mean(targets.map((y) => denseProbing(pooled, y, split))),
    tpp: targetedPerturbation(pooled, decoder, split, removed),
    scr: spuriousRemoval(pooled, decoder, split, removed),
  };
}
