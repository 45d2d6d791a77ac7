/** Models that params refer to, opened for a handler: by id, by alias or from a hub. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { copyFile, link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type ModelDescription, type ModelReference, modelKey } from '../../../shared/contracts/model.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { describe } from '../../../shared/models/describe.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import {
  BLOCK_SPARSE_LAYERS,
  BLOCK_SPARSE_WEIGHTS,
  denseWeightFile,
} from '../../block-sparse/stored/stored-reading.ts';
import { fetchModel, type LanguageModel, loadModel, readJson } from '../../lm/index.ts';
import { chooseProvider, type Provider } from '../../runtime/index.ts';
import type { JobContext } from '../handler.ts';

export type OpenedModel = {
  model: LanguageModel;
  /** The folder or file that it was opened from, as it is stored. */
  path: string;
  /** `mdl_...` where the reference was one, else null. */
  id: string | null;
  /** Digest over config and weights: equal for equal models under any name. */
  digest: string;
  /** The commit of a hub, the id, or the digest. */
  revision: string;
  provider: Provider;
};

type Surroundings = Pick<JobContext<unknown>, 'configuration' | 'input' | 'scratch' | 'describeModel'>;

/** Files that decide what a model computes. */
export const decidesComputation = (name: string): boolean =>
  ['config.json', 'quantize_config.json', 'quant_config.json'].includes(name) || /\.(safetensors|gguf)$/.test(name);

/**
 * Finds the model's files, loads it and tells the edge what it looks like.
 * @throws SextantError `model_unknown`, `model_unsupported`, `input_not_found`
 */
export async function openModel(context: Surroundings, reference: ModelReference): Promise<OpenedModel> {
  const { configuration } = context;
  const { folder, revision, digests } = await locate(context, reference);
  const { provider } = await chooseProvider(configuration.device);
  const model = await loadModel(folder, {
    device: provider,
    threads: configuration.threads,
    spinning: false,
    scratch: context.scratch,
    packed: reference.packed ?? false,
    activations: reference.activations ?? 'float32',
  });
  const digest = await sha256Hex(canonicalJson(digests ?? (await fileDigests(folder))));
  const summary = describe(model.folder.config);
  const description: ModelDescription = {
    task: 'language',
    key: modelKey(reference),
    family: summary.family,
    revision: revision ?? digest,
    digest,
    layers: summary.layers,
    heads: summary.heads,
    width: summary.width,
    vocabulary: summary.vocabulary,
    context: summary.context,
    parameters: summary.parameters,
    hooks: summary.hooks,
    storage: model.folder.storage,
  };
  context.describeModel(description);
  const id = 'id' in reference ? reference.id : null;
  return { model, path: folder, id, digest, revision: description.revision, provider };
}

type Located = { folder: string; revision?: string; digests?: Record<string, string> };

async function locate(context: Surroundings, reference: ModelReference): Promise<Located> {
  const { configuration } = context;
  if ('local' in reference) {
    const folder = configuration.models[reference.local];
    if (!folder || !existsSync(folder)) {
      throw new SextantError('model_unknown', `this worker has no model alias '${reference.local}'`);
    }
    return { folder };
  }
  if ('hub' in reference) {
    const hub = configuration.hubs[reference.hub];
    if (!hub) {
      throw new SextantError('model_unknown', `this worker knows no hub '${reference.hub}'`);
    }
    const { repo, revision, file } = reference;
    const cache = join(configuration.cache, 'hub');
    const { folder, commit } = await fetchModel({ ...hub, cache, repo, revision, file });
    return { folder, revision: commit };
  }
  return published(context, reference.id);
}

/** Files of a published model, side by side under their own names: the runtime refuses links that leave a folder. */
async function published(context: Surroundings, id: string): Promise<Located> {
  const input = context.input(id);
  const folder = join(context.scratch, `model-${id.slice(4, 16)}`);
  await mkdir(folder, { recursive: true });
  for (const { name } of input.blobs) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw new SextantError('model_unknown', `blob '${name}' of ${id}`);
    }
    const [from, to] = [await input.file(name), join(folder, name)];
    if (!existsSync(to)) {
      await link(from, to).catch(() => copyFile(from, to));
    }
  }
  await expandBlockSparse(folder);
  const own = input.blobs.filter(({ name }) => decidesComputation(name));
  return { folder, revision: id, digests: Object.fromEntries(own.map(({ name, sha256 }) => [name, sha256])) };
}

/** A model that is stored with block-wise sparse layers alone gets the plain weight file that it computes as. */
async function expandBlockSparse(folder: string): Promise<void> {
  const [stored, dense] = [join(folder, BLOCK_SPARSE_WEIGHTS), join(folder, 'model.safetensors')];
  if (!existsSync(stored) || existsSync(dense)) {
    return;
  }
  const description = readJson(join(folder, BLOCK_SPARSE_LAYERS));
  await writeFile(dense, denseWeightFile(new Uint8Array(await readFile(stored)), description));
}

async function fileDigests(path: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  const [folder, names] = statSync(path).isFile() ? [dirname(path), [basename(path)]] : [path, readdirSync(path)];
  for (const name of names.filter(decidesComputation).sort()) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(folder, name))) {
      hash.update(chunk as Buffer);
    }
    digests[name] = hash.digest('hex');
  }
  return digests;
}

/** The reference to a model whose weights are to be changed or trained: they are needed dense. */
export function densely(reference: ModelReference): ModelReference {
  const { packed: _packed, activations: _activations, ...rest } = reference;
  return rest;
}
