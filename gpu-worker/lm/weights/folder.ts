/** A model folder in Hugging Face layout: `config.json` and one safetensors file, or an index and its shards. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { toFloat32 } from '../../../shared/formats/safetensors-values.ts';
import {
  type Architecture,
  type Family,
  listWeights,
  type ModelWeights,
  type Weight,
} from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';
import { named } from '../named.ts';
import { everyLinear } from '../network/linears.ts';
import { discardDenseFolder, type Storage } from './dense-folder.ts';
import { ggufFileOf, readGguf } from './gguf/model.ts';
import { type PackedMatrix, unpacked } from './quantised/packed.ts';
import { findQuantised } from './quantised/read.ts';
import { isObject } from './quantised/settings.ts';
import { readBytes, readFloat32 } from './safetensors-file.ts';
import { readSidePaths, type SidePaths, withPair } from './side-paths.ts';
import { readJson, readStoredTensors, type StoredTensor, type StoredTensors } from './stored-tensors.ts';

/** A folder that has been read and checked: everything the model needs is there, with the right shapes. */
export type ModelFolder = {
  path: string;
  /** Where the files of `stored` are named from: `path`, or where its links lead. */
  weightsPath: string;
  config: Record<string, unknown>;
  architecture: Architecture;
  weights: ModelWeights;
  /** The stored tensor of each weight of the model, by the weight's name. */
  stored: Map<string, StoredTensor>;
  /** Sizes of the weight files, bytes. */
  bytes: number;
  /** How the weights lay before they were made dense; null where they were plain. */
  storage: Storage | null;
  /** Matrices that stay packed, by the weight's name; they are not in `stored`. */
  packed: ReadonlyMap<string, PackedMatrix>;
  /** Where each of their tensors lies. */
  packedTensors: ReadonlyMap<string, StoredTensor>;
  /** What is added beside linear layers, by the weight's name. */
  sidePaths: SidePaths;
};

/**
 * Reads and checks a folder, or a GGUF file. Of a plain folder no weight is read; quantised weights are written dense
 * (or, where `packed` says what they are multiplied with, as the runtime unpacks them) into a folder of their own, within `scratch` or else to be given back by `discardFolder`.
 * @throws SextantError `model_unknown`, `model_unsupported`, `weights_invalid`
 */
export function readFolder(path: string, options: FolderOptions = {}): ModelFolder {
  const folder = readStorage(path, options);
  return { ...folder, sidePaths: readSidePaths(path, folder.weights) };
}

type FolderOptions = { scratch?: string | undefined; packed?: Storage['packed'] };

function readStorage(path: string, { scratch, packed = null }: FolderOptions): ModelFolder {
  const file = ggufFileOf(path);
  if (file) {
    const { storage, dense } = readGguf(file);
    return { ...readPlainFolder(dense(scratch)), storage };
  }
  const config = readConfig(path);
  const quantised = isObject(config) ? findQuantised(path, config) : null;
  if (!quantised) {
    return readPlainFolder(path, config);
  }
  const written = quantised.dense(scratch, packed !== null);
  const kept = written.packed.size > 0;
  const storage = {
    ...quantised.storage,
    packed: kept ? packed : null,
    notices: [
      ...quantised.storage.notices,
      ...(packed !== null && !kept ? ['no matrix can stay packed in this layout: all became dense'] : []),
    ],
  };
  return { ...readPlainFolder(written.path, undefined, written.packed), storage };
}

/** How the weights of a plain folder or a quantised one are stored, without reading any; null for plain ones. */
export function storageOf(path: string): ModelFolder['storage'] {
  const config = readConfig(path);
  const quantised = isObject(config) ? findQuantised(path, config) : null;
  return quantised && { ...quantised.storage, packed: null };
}

/** Gives the dense copy of a quantised folder back; harmless for any other. */
export const discardFolder = ({ path }: ModelFolder): void => discardDenseFolder(path);

function readConfig(path: string): unknown {
  if (!existsSync(join(path, 'config.json'))) {
    throw new SextantError('model_unknown', `the model folder has no config.json`);
  }
  return readJson(join(path, 'config.json'));
}

function readPlainFolder(
  path: string,
  config: unknown = readConfig(path),
  packed: ReadonlyMap<string, PackedMatrix> = new Map(),
): ModelFolder {
  const tensors = readStoredTensors(path);
  const described = parseArchitecture(config);
  const family = familyOf(described.family);
  const head = described.tied ? ownHead(tensors, described, family) : null;
  const architecture = head?.differs ? { ...described, tied: false } : described;
  const weights = family.weights(architecture);
  const stored = new Map<string, StoredTensor>();
  for (const weight of listWeights(weights)) {
    if (!packed.has(weight.name)) {
      stored.set(weight.name, find(tensors, weight, family));
    }
  }
  const packedTensors = new Map(
    [...packed.values()]
      .flatMap(({ names }) => Object.values(names))
      .flatMap((name) => {
        const found = tensors.find(name);
        return found ? [[name, found] as const] : [];
      }),
  );
  const read = new Set([...[...stored.values()].map(({ name }) => name), ...packedTensors.keys()]);
  if (head) {
    read.add(head.name);
  }
  refuseUnread(tensors, read, listWeights(weights), family);
  const { path: weightsPath, bytes } = tensors;
  const document = config as Record<string, unknown>;
  const kept = { packed, packedTensors, sidePaths: new Map() };
  return { path, weightsPath, config: document, architecture, weights, stored, bytes, storage: null, ...kept };
}

/** Where a weight may be stored: under its full name, another one or, as files of bare models have it, without the prefix. */
const namesOf = ({ name }: Weight, { prefix, aliases = {} }: Family): string[] => [
  name,
  ...(name.startsWith(prefix) ? [name.slice(prefix.length)] : []),
  ...(aliases[name] ? [aliases[name]] : []),
];

function find(tensors: StoredTensors, weight: Weight, family: Family): StoredTensor {
  const found = namesOf(weight, family).find((name) => tensors.find(name));
  return tensors.require(found ?? weight.name, ['F32', 'F16', 'BF16'], weight.shape);
}

/**
 * The head that a file stores although its config ties it to the embedding. Where it holds other values it is the head,
 * as in the publishers' library.
 */
function ownHead(tensors: StoredTensors, a: Architecture, family: Family): { name: string; differs: boolean } | null {
  const { head, embedding } = family.weights({ ...a, tied: false });
  const name = namesOf(head.weight, family).find((candidate) => tensors.find(candidate));
  if (!name) {
    return null;
  }
  const [own, shared] = [find(tensors, head.weight, family), find(tensors, embedding, family)];
  if (own.dtype !== shared.dtype) {
    return { name, differs: true };
  }
  for (let at = 0; at < own.end - own.begin; at += CHUNK) {
    if (Buffer.compare(tensors.part(own, at, CHUNK), tensors.part(shared, at, CHUNK)) !== 0) {
      return { name, differs: true };
    }
  }
  return { name, differs: false };
}

const CHUNK = 16 * 2 ** 20;

/** What the publishers stored beside weights and their libraries make anew: causal masks and rotary frequencies. */
const BUFFERS =
  /(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|(attn|attention)\.(attention\.)?(masked_)?bias|position_ids)$/;

/**
 * A weight that belongs to the model and that nothing reads would be left out in silence.
 * @throws SextantError `model_unsupported` naming such weights
 */
function refuseUnread(
  tensors: StoredTensors,
  read: ReadonlySet<string>,
  weights: readonly Weight[],
  family: Family,
): void {
  const first = (name: string) => name.split('.', 1)[0]!;
  const own = new Set(weights.flatMap((weight) => namesOf(weight, family).map(first)));
  const unread = [...tensors.names].filter((name) => own.has(first(name)) && !read.has(name) && !BUFFERS.test(name));
  if (unread.length === 0) {
    return;
  }
  const more = unread.length > 6 ? ` and ${unread.length - 6} more` : '';
  throw new SextantError(
    'model_unsupported',
    `the weight files hold tensors that a '${family.modelType}' of this config.json does not read: ${unread.slice(0, 6).join(', ')}${more}`,
  );
}

/**
 * The values of one weight as float32, with what a side path adds to it.
 * @throws SextantError `weights_invalid`; `model_unsupported` where a side path adds what no matrix could hold
 */
export function readWeight(folder: ModelFolder, name: string): Float32Array {
  const values = readOwn(folder, name);
  const path = folder.sidePaths.get(name);
  if (!path) {
    return values;
  }
  if (path.constant) {
    throw new SextantError('model_unsupported', `'${name}' has a constant beside it, which its matrix cannot hold`);
  }
  const linear = folder.weights.layers.flatMap(everyLinear).find(({ weight }) => weight.name === name)!;
  return withPair(linear, values, path.pair!);
}

function readOwn(folder: ModelFolder, name: string): Float32Array {
  const packed = folder.packed.get(name);
  if (packed) {
    const read = (part: string) => {
      const { file, begin, end } = named(folder.packedTensors, part);
      return readBytes(join(folder.weightsPath, file), begin, end);
    };
    const { codes, scales, zeros } = packed.names;
    return unpacked(packed, read(codes), toFloat32(read(scales), 'F32'), read(zeros));
  }
  const entry = folder.stored.get(name);
  if (!entry) {
    throw new SextantError('weights_invalid', `the model has no tensor '${name}'`);
  }
  return readFloat32(join(folder.weightsPath, entry.file), entry);
}
