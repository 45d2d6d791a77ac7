/** What a compressed model's folder holds beside its weight files: their index and the config. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ModelFolder, weightsOfBlock } from '../../lm/index.ts';
import { type CompressionPlan, rounds } from '../plan.ts';
import type { BlockReport } from '../report.ts';
import { packedConfig } from './packing.ts';
import { type Shard, shardIndex } from './shards.ts';

/** Writes them; what the reader of the report should know. */
export function finishFolder(
  model: ModelFolder,
  { method, bits, group, symmetric }: CompressionPlan,
  folder: string,
  shards: readonly Shard[],
  blocks: readonly BlockReport[],
): string[] {
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  write('model.safetensors.index.json', shardIndex(shards));
  const { dtype: _dtype, torch_dtype: _older, ...config } = model.config;
  const matrices = blocks.flatMap((block) => block.matrices);
  const packed = shards.some(({ names }) => names.some((name) => name.endsWith('.weight_packed')));
  const rounded = new Set(shards.flatMap(({ names }) => names.filter((name) => name.endsWith('.weight_packed'))));
  const plain = model.weights.layers
    .flatMap((_, layer) => weightsOfBlock(model, layer))
    .filter(({ name, shape }) => shape.length === 2 && !rounded.has(name.replace(/weight$/, 'weight_packed')))
    .map(({ name }) => name.replace(/\.weight$/, ''));
  write('config.json', {
    ...config,
    torch_dtype: 'float32',
    ...(packed && {
      quantization_config: packedConfig({ bits: bits!, group, asymmetric: !symmetric }, ['lm_head', ...plain]),
    }),
  });
  const failed = matrices.filter(({ compressed }) => !compressed).map(({ name }) => name);
  return [
    ...(failed.length > 0 ? [`the Hessian of ${failed.join(', ')} cannot be factorised: stored as it was`] : []),
    ...(rounds(method) && !packed ? ['stored dense: compressed-tensors holds no matrices of this family'] : []),
  ];
}
