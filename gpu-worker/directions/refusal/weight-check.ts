/** Ablation in the weights beside ablation by hooks: equal logits where no norm follows what is written. */
import { rmSync } from 'node:fs';
import { type LanguageModel, loadModel, writeEditedFolder } from '../../lm/index.ts';
import { lastLogits, type Row } from '../rows.ts';
import { ablation } from './interventions.ts';
import { ablatedWeights, hasPostNorms } from './weight-edits.ts';

type WeightCheck = {
  /** Largest difference of logits after the prompts. */
  hook_gap: number;
  post_norms: boolean;
  /** Weights that were edited. */
  matrices: number;
};

/** @param folder where the edited model is written; it stays there */
export async function checkWeights(
  model: LanguageModel,
  prompts: readonly Row[],
  { unit, mean }: { unit: Float32Array; mean: number },
  folder: string,
): Promise<WeightCheck> {
  const edited = ablatedWeights(model.folder, unit, mean);
  writeEditedFolder(model.folder, folder, edited);
  const ablated = await loadModel(folder, { device: model.device });
  try {
    const hooked = await lastLogits(model, prompts, () => ablation(model.architecture.layers, { unit, mean }));
    const own = await lastLogits(ablated, prompts);
    const hook_gap = own.reduce((most, value, i) => Math.max(most, Math.abs(value - hooked[i]!)), 0);
    return { hook_gap, post_norms: hasPostNorms(model.folder), matrices: edited.size };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    await ablated.release();
  }
}
