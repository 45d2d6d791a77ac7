/** Models that params refer to, opened for a handler: by id, by alias or from a hub. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { copyFile, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type LanguageDescription, type ModelReference, modelKey } from '../../../shared/contracts/model.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { describe } from '../../../shared/models/describe.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import {
  BLOCK_SPARSE_LAYERS,
  BLOCK_SPARSE_WEIGHTS,
  denseWeightFile,
} from '../../block-sparse/stored/stored-reading.ts';
import { fetchModel, type LanguageModel, loadModel, RunningBatch, readJson } from '../../lm/index.ts';
import { chooseProvider, type Provider } from '../../runtime/index.ts';
import type { HandlerInput, JobContext } from '../handler.ts';
import { joinFiles, wholeName } from '../outputs/file-parts.ts';

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
  /** The batch that texts of several jobs share, where the model is shared. */
  running: RunningBatch | null;
};

type Surroundings = Pick<JobContext<unknown>, 'configuration' | 'input' | 'scratch' | 'describeModel' | 'standing'>;

/** Files that decide what a model computes. */
export const decidesComputation = (name: string): boolean =>
  ['config.json', 'quantize_config.json', 'quant_config.json'].includes(name) || /\.(safetensors|gguf)$/.test(name);

/**
 * Finds the model's files, loads it unless an earlier job of this process has, and tells the edge what it looks like.
 * @throws SextantError `model_unknown`, `model_unsupported`, `input_not_found`
 */
export async function openModel(context: Surroundings, reference: ModelReference): Promise<OpenedModel> {
  const located = await locate(context, reference);
  const { provider } = await chooseProvider(context.configuration.device);
  const { model, path, digest, running } = await loaded(context, located, reference, provider);
  const description = describedModel(model.folder.config, {
    key: modelKey(reference),
    revision: located.revision ?? digest,
    digest,
    storage: model.folder.storage,
  });
  context.describeModel(description);
  const id = 'id' in reference ? reference.id : null;
  return { model, path, id, digest, revision: description.revision, provider, running };
}

/** What the edge is told of the language model of a `config.json`. @throws SextantError `model_unsupported` */
export function describedModel(
  config: unknown,
  of: Pick<LanguageDescription, 'key' | 'revision' | 'digest' | 'storage'>,
): LanguageDescription {
  const { family, layers, heads, width, vocabulary, context, parameters, hooks } = describe(config);
  return { task: 'language', family, layers, heads, width, vocabulary, context, parameters, hooks, ...of };
}

type Loaded = Pick<OpenedModel, 'model' | 'path' | 'digest' | 'running'>;

/** The model, of this job alone or shared with others of its process. */
async function loaded(
  context: Surroundings,
  located: Located,
  reference: ModelReference,
  provider: Provider,
): Promise<Loaded> {
  const { standing, scratch, configuration } = context;
  const load = async (folder: string): Promise<Loaded> => {
    const path = 'folder' in located ? located.folder : await assemble(located, join(folder, 'model'));
    const model = await loadModel(path, {
      device: provider,
      threads: configuration.threads,
      spinning: false,
      scratch: folder,
      packed: reference.packed ?? false,
      activations: reference.activations ?? 'float32',
    });
    const digests = 'folder' in located ? await fileDigests(path) : computingDigests(located);
    return { model, path, digest: await sha256Hex(canonicalJson(digests)), running: null };
  };
  if (!standing) {
    return load(
      join(
        scratch,
        `model-${modelKey(reference)
          .replaceAll(/[^A-Za-z0-9]/g, '-')
          .slice(0, 60)}`,
      ),
    );
  }
  const { packed, activations } = reference;
  const key = JSON.stringify(['model', identityOf(located), provider, configuration.threads, packed, activations]);
  const { value, giveBack } = await standing.share(key, async () => {
    const folder = standing.newFolder();
    const opened = await load(folder);
    const running = new RunningBatch(opened.model, PREFIX_BYTES);
    const value = { ...opened, running };
    const close = async (): Promise<void> => {
      await value.model.release();
      await rm(folder, { recursive: true, force: true });
    };
    const digests = 'folder' in located ? [] : located.blobs.map(({ sha256 }) => sha256);
    return { value, bytes: () => OPENED_BYTES + running.bytes + value.model.programs.bytes, close, digests };
  });
  return { ...value, model: value.model.shared(giveBack) };
}

/** Keys and values of prompts that may come again, of each model. */
const PREFIX_BYTES = 2 ** 26;
/** What an opened model holds beside its programs: the tokenizer, mostly. */
const OPENED_BYTES = 2 ** 23;

/** Files that lie in a folder, or the blobs of a published model, of which one is made. */
type Located =
  | { folder: string; revision?: string }
  | {
      revision: string;
      blobs: HandlerInput['blobs'];
      file: HandlerInput['file'];
      /** Digests of files that are stored in parts. */
      whole: Readonly<Record<string, string>>;
    };

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
  const { manifest, blobs, file } = context.input(reference.id);
  return { revision: reference.id, blobs, file, whole: (manifest?.body.whole ?? {}) as Record<string, string> };
}

/** Equal where the files are: by digest, or by what the disk says of each. */
function identityOf(located: Located): unknown {
  if (!('folder' in located)) {
    return located.blobs.map(({ name, sha256 }) => [name, sha256]);
  }
  const [folder, names] = filesAt(located.folder);
  const stats = names.map((name) => {
    const { size, mtimeMs, ctimeMs, ino } = statSync(join(folder, name));
    return [name, size, mtimeMs, ctimeMs, ino];
  });
  return [located.folder, stats];
}

type Published = Extract<Located, { blobs: unknown }>;

/** Files of a published model, side by side under their own names: the runtime refuses links that leave the folder. */
async function assemble({ revision: id, blobs, file }: Published, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const { name } of blobs) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw new SextantError('model_unknown', `blob '${name}' of ${id}`);
    }
    const [from, to] = [await file(name), join(folder, name)];
    if (!existsSync(to)) {
      await link(from, to).catch(() => copyFile(from, to));
    }
  }
  await joinFiles(folder);
  await expandBlockSparse(folder);
  return folder;
}

const computingDigests = ({ blobs, whole }: Published): Record<string, string> =>
  Object.fromEntries(
    blobs
      .map(({ name, sha256 }) => [wholeName(name), whole[wholeName(name)] ?? sha256] as const)
      .filter(([name]) => decidesComputation(name)),
  );

/** A model that is stored with block-wise sparse layers alone gets the plain weight file that it computes as. */
async function expandBlockSparse(folder: string): Promise<void> {
  const [stored, dense] = [join(folder, BLOCK_SPARSE_WEIGHTS), join(folder, 'model.safetensors')];
  if (!existsSync(stored) || existsSync(dense)) {
    return;
  }
  const description = readJson(join(folder, BLOCK_SPARSE_LAYERS));
  await writeFile(dense, denseWeightFile(new Uint8Array(await readFile(stored)), description));
}

/** A model's folder and the names of its files, sorted. */
const filesAt = (path: string): [folder: string, names: string[]] =>
  statSync(path).isFile() ? [dirname(path), [basename(path)]] : [path, readdirSync(path).sort()];

async function fileDigests(path: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  const [folder, names] = filesAt(path);
  for (const name of names.filter(decidesComputation)) {
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
