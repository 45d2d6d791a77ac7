/**
 * LoRA adapters (Hu et al. 2021) as PEFT stores them: W + s B A for the matrices that they name, with s = alpha / r, or
 * alpha / sqrt(r) where the adapter says so (Kalajdzievski 2023).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { type ModelFolder, readWeight } from './folder.ts';
import { readFloat32, readHeader } from './safetensors-file.ts';
import { readJson } from './stored-tensors.ts';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

/** Settings that change what is added, and are not done here. */
const UNSUPPORTED: Readonly<Record<string, (value: unknown) => boolean>> = {
  use_dora: (value) => value === true,
  bias: (value) => value !== 'none',
  modules_to_save: (value) => Array.isArray(value) && value.length > 0,
  lora_bias: (value) => value === true,
  layer_replication: (value) => Array.isArray(value),
  trainable_token_indices: (value) => value !== null && value !== undefined,
};

const invalid = (detail: string) => new SextantError('data_invalid', `the adapter: ${detail}`);

export const isAdapter = (folder: string): boolean => existsSync(join(folder, CONFIG));

type Config = Record<string, unknown>;
const numberOf = (value: unknown, pattern: unknown, module: string, name: string): number => {
  const own = Object.entries((pattern ?? {}) as Record<string, unknown>).find(
    ([key]) => module === key || module.endsWith(`.${key}`),
  )?.[1];
  const found = own ?? value;
  if (typeof found !== 'number' || !(found > 0)) {
    throw invalid(`${name} is ${JSON.stringify(found)}; it must be a positive number`);
  }
  return found;
};

/**
 * New values of the matrices that the adapter changes, by the names of the base's weights.
 * @throws SextantError `data_invalid` for another base, whose matrices have other names or shapes; `model_unsupported`
 */
export function mergedWeights(adapter: string, base: ModelFolder): Map<string, Float32Array> {
  const config = readJson(join(adapter, CONFIG)) as Config;
  if (config.peft_type !== 'LORA') {
    throw new SextantError(
      'model_unsupported',
      `adapters of the type ${JSON.stringify(config.peft_type)} are not merged`,
    );
  }
  for (const [name, asks] of Object.entries(UNSUPPORTED)) {
    if (Object.hasOwn(config, name) && asks(config[name])) {
      throw new SextantError(
        'model_unsupported',
        `an adapter with ${name} = ${JSON.stringify(config[name])} is not merged`,
      );
    }
  }
  const path = join(adapter, WEIGHTS);
  if (!existsSync(path)) {
    throw invalid(`there is no ${WEIGHTS}`);
  }
  const { tensors } = readHeader(path);
  const shapes = new Map(listWeights(base.weights).map(({ name, shape }) => [name, shape]));
  const merged = new Map<string, Float32Array>();
  const seen = new Set<string>();
  for (const name of tensors.keys()) {
    const [, module] = /^base_model\.model\.(.+)\.lora_A(?:\.default)?\.weight$/.exec(name) ?? [];
    if (module === undefined) {
      continue;
    }
    const other = name.replace('lora_A', 'lora_B');
    const [a, b] = [tensors.get(name)!, tensors.get(other)];
    const weight = [`${module}.weight`, `model.${module}.weight`, `transformer.${module}.weight`].find((one) =>
      shapes.has(one),
    );
    const shape = shapes.get(weight ?? '');
    if (!weight || !shape) {
      throw invalid(`it changes '${module}', which the base has not: it is an adapter of another model`);
    }
    const [r = 0, inputs = 0] = a.shape;
    const outputs = b?.shape[0] ?? 0;
    const transposed = config.fan_in_fan_out === true;
    const fits = transposed ? shape[0] === inputs && shape[1] === outputs : shape[0] === outputs && shape[1] === inputs;
    if (!b || b.shape[1] !== r || !fits) {
      throw invalid(
        `'${module}' has the pair [${b?.shape.join(', ')}] x [${a.shape.join(', ')}], the base's matrix is [${shape.join(', ')}]: it is an adapter of another model`,
      );
    }
    const alpha = numberOf(config.lora_alpha, config.alpha_pattern, module, 'lora_alpha');
    const scale = alpha / (config.use_rslora === true ? Math.sqrt(r) : r);
    const size = { r, inputs, outputs, transposed };
    merged.set(weight, withPair(readWeight(base, weight), readFloat32(path, a), readFloat32(path, b), scale, size));
    seen.add(name).add(other);
  }
  const unread = [...tensors.keys()].find((name) => !seen.has(name));
  if (unread !== undefined || merged.size === 0) {
    throw invalid(
      unread === undefined ? 'it holds no pair of matrices' : `nobody knows what its tensor '${unread}' is`,
    );
  }
  return merged;
}

/** W + scale B A, W stored [outputs, inputs], or [inputs, outputs] where transposed. Sums in float64. */
function withPair(
  weight: Float32Array,
  a: Float32Array,
  b: Float32Array,
  scale: number,
  { r, inputs, outputs, transposed }: { r: number; inputs: number; outputs: number; transposed: boolean },
): Float32Array {
  const out = Float32Array.from(weight);
  const row = new Float64Array(inputs);
  for (let o = 0; o < outputs; o++) {
    row.fill(0);
    for (let k = 0; k < r; k++) {
      const factor = scale * b[o * r + k]!;
      for (let i = 0; i < inputs; i++) {
        row[i]! += factor * a[k * inputs + i]!;
      }
    }
    for (let i = 0; i < inputs; i++) {
      out[transposed ? i * outputs + o : o * inputs + i]! += row[i]!;
    }
  }
  return out;
}
