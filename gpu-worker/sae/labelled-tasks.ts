/** All tasks on one set of labelled texts. */
import { stream } from '../../shared/math/random.ts';
import type { LanguageModel } from '../lm/model.ts';
import type { Encoder } from './encoder.ts';
import type { TrainedSae } from './evaluate.ts';
import { type LabelledText, poolTexts } from './pooled.ts';
import { denseProbing, type Perturbation, sparseProbing, spuriousRemoval, targetedPerturbation } from './probing.ts';

export type LabelledTasks = {
  name: string;
  texts: number;
  /** Means over the classes, each against the rest. */
  probing: { k: number; accuracy: number }[];
  dense_accuracy: number;
  tpp: Perturbation[];
  scr: Perturbation[] | null;
};

const PROBED = [1, 2, 5] as const;
const REMOVED = [2, 5, 10, 20, 50] as const;
const TRAIN_SHARE = 0.7;

export async function labelledTasks(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  { name, texts }: { name: string; texts: readonly LabelledText[] },
  { encoder, seed }: { encoder: Encoder; seed: number },
): Promise<LabelledTasks> {
  const pooled = await poolTexts(model, hook, sae, texts, encoder);
  const order = [...stream(seed, `labelled/${name}`).permutation(texts.length)];
  const cut = Math.round(TRAIN_SHARE * texts.length);
  const split = { train: order.slice(0, cut), test: order.slice(cut) };
  const classes = [...new Set(pooled.labels)].sort();
  // With two classes, one against the rest is the other against the rest.
  const targets = (classes.length === 2 ? classes.slice(1) : classes).map((label) =>
    pooled.labels.map((own) => (own === label ? 1 : 0)),
  );
  const results = targets.map((y) => sparseProbing(pooled, y, split, PROBED));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const { decoder, width } = sae.parameters;
  const removed = REMOVED.filter((count) => count <= width);
  return {
    name,
    texts: texts.length,
    probing: PROBED.map((k, i) => ({ k, accuracy: mean(results.map((result) => result[i]!.accuracy)) })),
    dense_accuracy: mean(targets.map((y) => denseProbing(pooled, y, split))),
    tpp: targetedPerturbation(pooled, decoder, split, removed),
    scr: spuriousRemoval(pooled, decoder, split, removed),
  };
}
