/** The folder of a compressed model: its own weights, and what else the model came with. */
import { cpSync } from 'node:fs';
import { copyFiles, KEPT_FILES, type ModelFolder } from '../lm/index.ts';
import { type Compressed, type CompressionOptions, compressModel } from './compress.ts';
import { type CompressionPlan, changesNothing } from './plan.ts';

/**
 * Fills `options.folder`; a plan of share 0, or of 16 bits, leaves the model as it is.
 * @param texts token rows, as `compressModel` takes them
 * @throws SextantError as `compressModel`
 */
export async function compressFolder(
  model: ModelFolder,
  plan: CompressionPlan,
  texts: Record<'calibration' | 'heldOut', readonly ArrayLike<number>[]>,
  options: CompressionOptions,
): Promise<Compressed> {
  if (changesNothing(plan)) {
    cpSync(model.path, options.folder, { recursive: true });
    return { blocks: [], bytes: model.bytes, notices: ['nothing was asked for: the model is as it was'] };
  }
  const made = await compressModel(model, plan, texts.calibration, texts.heldOut, options);
  copyFiles(model.path, options.folder, KEPT_FILES);
  return made;
}
