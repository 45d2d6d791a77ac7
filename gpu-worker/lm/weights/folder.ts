/** A model folder in Hugging Face layout: `config.json` and one safetensors file, or an index and its shards. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import {
  type Architecture,
  type Family,
  listWeights,
  type ModelWeights,
  type Weight,
} from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';
import { discardDenseFolder, type Storage } from './dense-folder.ts';
import { ggufFileOf, readGguf } from './gguf/model.ts';
import { findQuantised } from './quantised/read.ts';
import { isObject } from './quantised/settings.ts';
import { readBytes, readFloat32 } from './safetensors-file.ts';
import { readJson, readStoredTensors, type StoredTensor, type StoredTensors } from './stored-tensors.ts';

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
  /** How the weights lay before they were made dense; null where they were plain. */
  storage: Storage | null;
};

/**
 * Reads and checks a folder, or a GGUF file. Of a plain folder no weight is read; quantised weights are written dense into
 * a folder of their own, within `scratch` or else to be given back by `discardFolder`.
 * @throws SextantError `model_unknown`, `model_unsupported`, `weights_invalid`
 */
export function readFolder(path: string, { scratch }: { scratch?: string | undefined } = {}): ModelFolder {
  const file = ggufFileOf(path);
  if (file) {
    const { storage, dense } = readGguf(file);
    return { ...readPlainFolder(dense(scratch)), storage };
  }
  const config = readConfig(path);
  const quantised = isObject(config) ? findQuantised(path, config) : null;
  if (!quantised) return readPlainFolder(path, config);
  return { ...readPlainFolder(quantised.dense(scratch)), storage: quantised.storage };
}

/** Gives the dense copy of a quantised folder back; harmless for any other. */
export const discardFolder = ({ path }: ModelFolder): void => discardDenseFolder(path);

function readConfig(path: string): unknown {
  if (!existsSync(join(path, 'config.json')))
    throw new SextantError('model_unknown', `the model folder has no config.json`);
  return readJson(join(path, 'config.json'));
}

function readPlainFolder(path: string, config: unknown = readConfig(path)): ModelFolder {
  const architecture = parseArchitecture(config);
  const family = familyOf(architecture.family);
  const weights = family.weights(architecture);
  const tensors = readStoredTensors(path);
  const stored = new Map<string, StoredTensor>();
  for (const weight of listWeights(weights)) stored.set(weight.name, find(tensors, weight, family));
  const { bytes } = tensors;
  return { path, config: config as Record<string, unknown>, architecture, weights, stored, bytes, storage: null };
}

/** The tensor that holds a weight: under its full name, another one or, as files of bare models have it, without the prefix. */
function find(tensors: StoredTensors, weight: Weight, { prefix, aliases = {} }: Family): StoredTensor {
  const bare = weight.name.startsWith(prefix) ? weight.name.slice(prefix.length) : weight.name;
  const found = tensors.find(weight.name) ?? tensors.find(bare) ?? tensors.find(aliases[weight.name] ?? '');
  return tensors.require(found?.name ?? weight.name, ['F32', 'F16', 'BF16'], weight.shape);
}

/** The bytes of one weight as it is stored. */
export function readStored(folder: ModelFolder, name: string): Uint8Array {
  const { file, begin, end } = folder.stored.get(name)!;
  return readBytes(join(folder.path, file), begin, end);
}

/** The values of one weight as float32. */
export function readWeight(folder: ModelFolder, name: string): Float32Array {
  const entry = folder.stored.get(name);
  if (!entry) throw new SextantError('weights_invalid', `the model has no tensor '${name}'`);
  return readFloat32(join(folder.path, entry.file), entry);
}
