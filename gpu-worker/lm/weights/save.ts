/** Writing a model as a folder in Hugging Face layout, which `transformers` opens as it is. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { safetensorsPrefix } from '../../../shared/formats/safetensors.ts';
import type { Architecture, Weight } from '../../../shared/models/architecture.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { familyOf } from '../../../shared/models/describe.ts';
import { groupsBelow } from '../../training/index.ts';

export type SavedTokenizer = { json: unknown; config: Record<string, unknown> };

export type SaveOptions = {
  tokenizer?: SavedTokenizer | null;
  config?: Record<string, unknown>;
  /** Largest weight file, bytes; what is larger becomes several with an index. */
  shardBytes?: number;
};

/**
 * Writes `config.json`, the weights (float32) and the tokenizer's files; the folder is complete or absent.
 * @param values every weight of the architecture, by name
 */
export function saveFolder(
  path: string,
  architecture: Architecture,
  values: (name: string) => Float32Array,
  { tokenizer = null, config = {}, shardBytes = Number.POSITIVE_INFINITY }: SaveOptions = {},
): void {
  if (existsSync(path)) {
    throw new Error(`the folder exists already`);
  }
  const family = familyOf(architecture.family);
  const weights = listWeights(family.weights(architecture));
  // The header takes some bytes of its own.
  const shards = groupsBelow(weights, bytesOf, shardBytes - 200 * weights.length);
  const draft = `${path}.writing`;
  mkdirSync(draft, { recursive: true });
  const writeJson = (name: string, value: unknown) =>
    writeFileSync(join(draft, name), `${JSON.stringify(value, null, 2)}\n`);
  writeFileSync(join(draft, 'config.json'), configText({ ...family.config(architecture), ...config }));
  const number = (n: number) => String(n).padStart(5, '0');
  const nameOf = (i: number) =>
    shards.length === 1 ? 'model.safetensors' : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
  for (const [i, shard] of shards.entries()) {
    writeWeights(join(draft, nameOf(i)), shard, values);
  }
  if (shards.length > 1) {
    writeJson('model.safetensors.index.json', {
      metadata: { total_size: shards.flat().reduce((sum, weight) => sum + bytesOf(weight), 0) },
      weight_map: Object.fromEntries(shards.flatMap((shard, i) => shard.map(({ name }) => [name, nameOf(i)]))),
    });
  }
  if (tokenizer) {
    writeJson('tokenizer.json', tokenizer.json);
    writeJson('tokenizer_config.json', { tokenizer_class: 'PreTrainedTokenizerFast', ...tokenizer.config });
  }
  renameSync(draft, path);
}

/** Fields of a config that `transformers` refuses where they are written as whole numbers. */
const REALS = ['attn_logit_softcapping', 'final_logit_softcapping'];

const configText = (config: Record<string, unknown>): string =>
  `${JSON.stringify(config, null, 2)}\n`.replace(
    new RegExp(`^( {2}"(?:${REALS.join('|')})": -?\\d+)(?=,?$)`, 'gm'),
    '$1.0',
  );

const bytesOf = ({ shape }: Weight): number => 4 * shape.reduce((a, b) => a * b, 1);

function writeWeights(path: string, weights: readonly Weight[], values: (name: string) => Float32Array): void {
  const file = openSync(path, 'w');
  try {
    const entries = weights.map(({ name, shape }) => ({ name, dtype: 'F32' as const, shape }));
    writeAll(file, safetensorsPrefix(entries, { format: 'pt' }));
    for (const weight of weights) {
      const data = values(weight.name);
      if (data.byteLength !== bytesOf(weight)) {
        throw new Error(`'${weight.name}' has ${data.length} values for [${weight.shape}]`);
      }
      writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30));
  }
}
