/** Reading stored layers back: the dense weight of each, [inputs, outputs]. */
import { z } from 'zod';
import { SextantError } from '../../../shared/contracts/problem.ts';
import {
  readSafetensors,
  type Safetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../../shared/formats/safetensors.ts';
import { factorNames } from '../layer/layer.ts';
import { fromBlockCsr } from '../tiles/block-csr.ts';
import { denseWeight } from '../tiles/factors.ts';
import { gridOf } from '../tiles/tiles.ts';
import { turnedWeight } from '../training/language.ts';

/** Files of a language model whose layers are block-wise sparse: the tensors, and what they are. */
export const [BLOCK_SPARSE_WEIGHTS, BLOCK_SPARSE_LAYERS] = ['block-sparse.safetensors', 'block-sparse.json'] as const;

const size = z.number().int().positive();
const storedLayerSchema = z.looseObject({
  format: z.enum(['factored', 'block_csr']),
  inputs: size,
  outputs: size,
  tile: z.tuple([size, size]),
  rank: size.nullable(),
  layout: z.enum(['in_out', 'out_in']),
});
const storedSchema = z.looseObject({ layers: z.record(z.string(), storedLayerSchema) });
type Layer = z.output<typeof storedLayerSchema>;

function weightOf(name: string, { format, inputs, outputs, tile, rank }: Layer, file: Safetensors): Float32Array {
  const grid = gridOf(inputs, outputs, tile);
  if (format === 'factored') {
    const names = factorNames(name);
    const [s, a, b] = [file.float32(names.s), file.float32(names.a), file.float32(names.b)];
    return Float32Array.from(denseWeight({ grid, rank: rank ?? 1, s, a, b }));
  }
  const integers = (part: string) => new BigInt64Array(Uint8Array.from(file.bytes(`${name}.${part}`)).buffer);
  return fromBlockCsr({
    grid,
    crowIndices: integers('crow_indices'),
    colIndices: integers('col_indices'),
    values: file.float32(`${name}.values`),
  });
}

/**
 * A language model's stored tensors as a plain weight file, every weight as its architecture stores it.
 * @param description what `block-sparse.json` holds
 * @throws SextantError `weights_invalid`
 */
export function denseWeightFile(bytes: Uint8Array, description: unknown): Uint8Array {
  const parsed = storedSchema.safeParse(description);
  if (!parsed.success) {
    throw new SextantError('weights_invalid', 'block-sparse.json does not say how the layers are stored');
  }
  const file = readSafetensors(bytes);
  const { layers } = parsed.data;
  const own = new Set(
    Object.keys(layers).flatMap((name) => [
      ...Object.values<string>(factorNames(name)),
      ...['crow_indices', 'col_indices', 'values'].map((part) => `${name}.${part}`),
    ]),
  );
  const dense = Object.entries(layers).map(([name, layer]): TensorToWrite => {
    const weight = weightOf(name, layer, file);
    const { inputs, outputs, layout } = layer;
    const values = layout === 'in_out' ? weight : turnedWeight(weight, inputs, outputs);
    const shape = layout === 'in_out' ? [inputs, outputs] : [outputs, inputs];
    return { name: `${name}.weight`, dtype: 'F32', shape, bytes: new Uint8Array(values.buffer) };
  });
  const others = [...file.header.tensors].filter(([name]) => !own.has(name));
  const kept = others.map(
    ([name, { dtype, shape }]): TensorToWrite => ({ name, dtype, shape, bytes: file.bytes(name) }),
  );
  return writeSafetensors([...dense, ...kept], { format: 'pt' });
}
