/** A copy of a model with some weights replaced, dense in float32, as a folder that `transformers` opens. */
import { existsSync, rmSync } from 'node:fs';
import { familyOf } from '../../../shared/models/describe.ts';
import { type ModelFolder, readWeight } from './folder.ts';
import { copyFiles, KEPT_FILES } from './kept-files.ts';
import { saveFolder } from './save.ts';

/**
 * Writes the folder, replacing one that is there. Where the head is tied and the embedding is replaced, the head keeps the
 * matrix that it had and is stored beside it.
 * @param edited new values of weights, by name, as the model stores them
 * @throws SextantError as `readWeight`
 */
export function writeEditedFolder(
  folder: ModelFolder,
  path: string,
  edited: ReadonlyMap<string, Float32Array>,
  { shardBytes = Number.POSITIVE_INFINITY }: { shardBytes?: number } = {},
): void {
  const { architecture, weights, config } = folder;
  const untied = architecture.tied && edited.has(weights.embedding.name);
  const own = untied ? { ...architecture, tied: false } : architecture;
  const head = familyOf(own.family).weights(own).head.weight.name;
  const values = (name: string): Float32Array => {
    const replaced = edited.get(name);
    if (replaced) {
      return replaced;
    }
    return readWeight(folder, untied && name === head ? weights.embedding.name : name);
  };
  const { torch_dtype: _old, dtype: _stored, quantization_config: _packed, ...kept } = config;
  if (existsSync(path)) {
    rmSync(path, { recursive: true });
  }
  const settings = { ...kept, torch_dtype: 'float32', tie_word_embeddings: own.tied };
  saveFolder(path, own, values, { config: settings, shardBytes });
  copyFiles(folder.path, path, KEPT_FILES);
}
