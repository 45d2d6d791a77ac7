/** Writing a model as a folder in Hugging Face layout, which `transformers` opens as it is. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { safetensorsPrefix } from '../../shared/formats/safetensors.ts';
import type { Architecture } from '../../shared/models/architecture.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import { familyOf } from '../../shared/models/describe.ts';

export type SavedTokenizer = { json: unknown; config: Record<string, unknown> };

/**
 * Writes `config.json`, `model.safetensors` (float32) and the tokenizer's files; the folder is complete or absent.
 * @param values every weight of the architecture, by name
 */
export function saveFolder(
  path: string,
  architecture: Architecture,
  values: (name: string) => Float32Array,
  { tokenizer = null, config = {} }: { tokenizer?: SavedTokenizer | null; config?: Record<string, unknown> } = {},
): void {
  if (existsSync(path)) throw new Error(`the folder exists already`);
  const family = familyOf(architecture.family);
  const weights = listWeights(family.weights(architecture));
  const draft = `${path}.writing`;
  mkdirSync(draft, { recursive: true });
  const writeJson = (name: string, value: unknown) =>
    writeFileSync(join(draft, name), `${JSON.stringify(value, null, 2)}\n`);
  writeJson('config.json', { ...family.config(architecture), ...config });
  const file = openSync(join(draft, 'model.safetensors'), 'w');
  try {
    const entries = weights.map(({ name, shape }) => ({ name, dtype: 'F32' as const, shape }));
    writeAll(file, safetensorsPrefix(entries, { format: 'pt' }));
    for (const { name, shape } of weights) {
      const data = values(name);
      if (data.length !== shape.reduce((a, b) => a * b, 1))
        throw new Error(`'${name}' has ${data.length} values for [${shape}]`);
      writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  } finally {
    closeSync(file);
  }
  if (tokenizer) {
    writeJson('tokenizer.json', tokenizer.json);
    writeJson('tokenizer_config.json', { tokenizer_class: 'PreTrainedTokenizerFast', ...tokenizer.config });
  }
  renameSync(draft, path);
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30));
}
