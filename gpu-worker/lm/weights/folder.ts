/** A model folder in Hugging Face layout: `config.json` and one safetensors file, or an index and its shards. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { SafetensorsEntry } from '../../../shared/formats/safetensors-header.ts';
import {
  type Architecture,
  type Family,
  listWeights,
  type ModelWeights,
  type Weight,
} from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';
import { nameOf, readFloat32, readHeader } from './safetensors-file.ts';

/** Where a stored tensor lies: `file` is relative to the folder. */
type StoredTensor = SafetensorsEntry & { file: string };

/** A folder that has been read and checked: everything the model needs is there, with the right shapes. */
export type ModelFolder = {
  path: string;
  config: Record<string, unknown>;
  architecture: Architecture;
  weights: ModelWeights;
  /** The stored tensor of each weight of the model, by the weight's name. */
  stored: Map<string, StoredTensor>;
  /** Sizes of the weight files, bytes. */
  bytes: number;
};

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const MAX_JSON_BYTES = 64 * 2 ** 20;

/** A JSON file of the folder. @throws SextantError `weights_invalid` */
export function readJson(path: string): unknown {
  if (statSync(path).size > MAX_JSON_BYTES)
    throw new SextantError('weights_invalid', `${nameOf(path)} is larger than ${MAX_JSON_BYTES} bytes`);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    throw new SextantError('weights_invalid', `${nameOf(path)} is not JSON: ${(error as Error).message}`);
  }
}

/**
 * Reads and checks a folder; no weight is read.
 * @throws SextantError `model_unknown`, `model_unsupported`, `weights_invalid`
 */
export function readFolder(path: string): ModelFolder {
  if (!existsSync(join(path, 'config.json')))
    throw new SextantError('model_unknown', `the model folder has no config.json`);
  const config = readJson(join(path, 'config.json'));
  const architecture = parseArchitecture(config);
  const family = familyOf(architecture.family);
  const weights = family.weights(architecture);
  const { tensors, bytes } = readTensors(path);
  const stored = new Map<string, StoredTensor>();
  for (const weight of listWeights(weights)) stored.set(weight.name, find(tensors, weight, family));
  return { path, config: config as Record<string, unknown>, architecture, weights, stored, bytes };
}

/** The tensor that holds a weight: under its full name, another one or, as files of bare models have it, without the prefix. */
function find(tensors: Map<string, StoredTensor>, weight: Weight, { prefix, aliases = {} }: Family): StoredTensor {
  const bare = weight.name.startsWith(prefix) ? weight.name.slice(prefix.length) : weight.name;
  const found = tensors.get(weight.name) ?? tensors.get(bare) ?? tensors.get(aliases[weight.name] ?? '');
  if (!found) throw new SextantError('weights_invalid', `tensor '${weight.name}' is missing`);
  if (found.shape.length !== weight.shape.length || found.shape.some((size, i) => size !== weight.shape[i]))
    throw new SextantError(
      'weights_invalid',
      `tensor '${found.name}' has shape [${found.shape}]; by config.json it must be [${weight.shape}]`,
    );
  if (!['F32', 'F16', 'BF16'].includes(found.dtype))
    throw new SextantError(
      'weights_invalid',
      `tensor '${found.name}' has dtype ${found.dtype}; F32, F16 and BF16 are supported`,
    );
  return found;
}

function readTensors(path: string): { tensors: Map<string, StoredTensor>; bytes: number } {
  const tensors = new Map<string, StoredTensor>();
  const files = existsSync(join(path, SINGLE)) ? [SINGLE] : shardsOf(path);
  let bytes = 0;
  for (const file of files) {
    bytes += statSync(join(path, file)).size;
    for (const [name, entry] of readHeader(join(path, file)).tensors) {
      if (tensors.has(name))
        throw new SextantError('weights_invalid', `tensor '${name}' is in ${file} and in another shard`);
      tensors.set(name, { ...entry, file });
    }
  }
  return { tensors, bytes };
}

/** The shards that the index names, all of them present; a shard may not lie outside the folder. */
function shardsOf(path: string): string[] {
  if (!existsSync(join(path, INDEX)))
    throw new SextantError('weights_invalid', `the model folder has neither ${SINGLE} nor ${INDEX}`);
  const map = (readJson(join(path, INDEX)) as { weight_map?: unknown }).weight_map;
  if (typeof map !== 'object' || map === null) throw new SextantError('weights_invalid', `${INDEX} has no weight_map`);
  const files = [...new Set(Object.values(map as Record<string, unknown>))].sort();
  for (const file of files) {
    if (typeof file !== 'string' || !/^[A-Za-z0-9._-]+\.safetensors$/.test(file))
      throw new SextantError('weights_invalid', `${INDEX} names a shard '${String(file).slice(0, 80)}'`);
    if (!existsSync(join(path, file))) throw new SextantError('weights_invalid', `shard ${file} is missing`);
  }
  return files as string[];
}

/** The values of one weight as float32. */
export function readWeight(folder: ModelFolder, name: string): Float32Array {
  const entry = folder.stored.get(name);
  if (!entry) throw new SextantError('weights_invalid', `the model has no tensor '${name}'`);
  return readFloat32(join(folder.path, entry.file), entry);
}
