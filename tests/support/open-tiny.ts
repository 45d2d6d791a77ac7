/** Opens a tiny random model for the running test and closes it afterwards. */
import { onTestFinished } from 'vitest';
import { type LanguageModel, loadModel } from '../../gpu-worker/lm/inference/model.ts';
import { tinyModel } from './tiny-model.ts';

export async function openTiny(config: Record<string, unknown>, seed = 1): Promise<LanguageModel> {
  const { folder, remove } = tinyModel(config, { seed });
  const model = await loadModel(folder, { threads: 1 });
  onTestFinished(async () => {
    await model.release();
    remove();
  });
  return model;
}
