/**
 * Models from a hub that speaks the Hugging Face endpoints: a revision is resolved to a commit once, and what a model
 * needs is downloaded into one folder of real files per commit (onnxruntime refuses links that leave the folder). Of a
 * repository without safetensors that is one GGUF file, which has everything in it.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { download, type HubFile } from './hub-file.ts';
import { hubGet } from './hub-http.ts';
import { SILENCE_MS, whileArriving } from './hub-patience.ts';
import { KEPT_FILES } from './kept-files.ts';

type HubOptions = {
  /** Address of the hub, such as https://huggingface.co. */
  endpoint: string;
  /** Goes to the hub's own origin only. */
  token?: string | undefined;
  /** Folder of the cache. */
  cache: string;
  /** `name` or `owner/name`. */
  repo: string;
  /** Branch, tag or commit. */
  revision: string;
  /** A GGUF file, instead of what else the repository holds. */
  file?: string | undefined;
  /** A hub that sends nothing for this long is given up. */
  silence_ms?: number | undefined;
  progress?: (done: { bytes: number; total: number }) => void;
};

type FetchedModel = { folder: string; commit: string };

const COMMIT = /^[0-9a-f]{40}$/;
const REPO = /^[A-Za-z0-9._-]{1,96}(\/[A-Za-z0-9._-]{1,96})?$/;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/;
const SMALL_FILES = new Set([
  'config.json',
  'quantize_config.json',
  'quant_config.json',
  'model.safetensors.index.json',
  ...KEPT_FILES,
]);
const MAX_LISTING_BYTES = 16 * 2 ** 20;
const DONE = '.complete';

/**
 * The folder of a model, downloaded if it is not in the cache. A revision that is a commit needs no request when it is.
 * @throws SextantError `model_unknown`, `model_unsupported` (no weights, or several GGUF files and none named), `weights_invalid` (digests), `unavailable`
 */
export async function fetchModel(options: HubOptions): Promise<FetchedModel> {
  const { endpoint, repo, revision, file: named, cache, token, silence_ms = SILENCE_MS } = options;
  if (!REPO.test(repo) || repo.split('/').some((part) => /^\.+$/.test(part))) {
    throw new SextantError('model_unknown', `'${repo.slice(0, 100)}' is not a repository name`);
  }
  const folderOf = (commit: string) =>
    join(
      cache,
      new URL(endpoint).host.replace(':', '_'),
      repo.replace('/', '--'),
      named ? `${commit}-${named}` : commit,
    );
  if (COMMIT.test(revision) && existsSync(join(folderOf(revision), DONE))) {
    return { folder: folderOf(revision), commit: revision };
  }
  const { commit, files } = await whileArriving(() => listing(options, silence_ms), silence_ms);
  const folder = folderOf(commit);
  if (existsSync(join(folder, DONE))) {
    return { folder, commit };
  }
  mkdirSync(folder, { recursive: true });
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let bytes = 0;
  for (const file of files) {
    const url = `${base(endpoint)}/${repo}/resolve/${commit}/${encodeURIComponent(file.name)}`;
    await download(url, join(folder, file.name), file, {
      token,
      silence_ms,
      progress: (more) => {
        bytes += more;
        options.progress?.({ bytes, total });
      },
    });
  }
  writeFileSync(join(folder, DONE), '');
  return { folder, commit };
}

const base = (endpoint: string): string => endpoint.replace(/\/+$/, '');

type Sibling = {
  rfilename?: unknown;
  size?: unknown;
  blobId?: unknown;
  lfs?: { sha256?: unknown; size?: unknown } | null;
};

/** The commit behind a revision and the files of it that a model needs. */
async function listing(
  { endpoint, repo, revision, file, token }: HubOptions,
  silence_ms: number,
): Promise<{ commit: string; files: HubFile[] }> {
  const url = `${base(endpoint)}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const response = await hubGet(url, { token, signal: AbortSignal.timeout(silence_ms) });
  const text = await response.text().catch((cause: unknown) => {
    throw new SextantError('unavailable', 'the list of files broke off', { cause });
  });
  if (text.length > MAX_LISTING_BYTES) {
    throw new SextantError('unavailable', 'the list of files is too long');
  }
  let answer: { sha?: unknown; siblings?: unknown };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw new SextantError('unavailable', 'the hub does not answer with JSON');
  }
  const commit = answer.sha;
  if (typeof commit !== 'string' || !COMMIT.test(commit) || !Array.isArray(answer.siblings)) {
    throw new SextantError('unavailable', 'the hub names no commit or no files');
  }
  const siblings = (answer.siblings as Sibling[]).filter(
    ({ rfilename: name }) => typeof name === 'string' && FILE_NAME.test(name),
  );
  const named = (test: (name: string) => boolean): HubFile[] =>
    siblings.filter(({ rfilename }) => test(rfilename as string)).map(hubFile);
  const weights = named((name) => /^model[A-Za-z0-9._-]*\.safetensors$/.test(name));
  if (file !== undefined || weights.length === 0) {
    return { commit, files: [oneGguf(repo, file, named)] };
  }
  const files = [...named((name) => SMALL_FILES.has(name)), ...weights];
  const names = new Set(files.map(({ name }) => name));
  if (!names.has('config.json')) {
    throw new SextantError('model_unsupported', `${repo} has no config.json`);
  }
  // Some repositories hold the model twice, whole and in shards.
  const whole = names.has('model.safetensors');
  return { commit, files: files.filter(({ name }) => !whole || !/-of-|index\.json$/.test(name)) };
}

/** The GGUF file of that name, or the only one there is. */
function oneGguf(
  repo: string,
  file: string | undefined,
  named: (test: (name: string) => boolean) => HubFile[],
): HubFile {
  const all = named((name) => name.endsWith('.gguf'));
  const found = all.filter(({ name }) => file === undefined || name === file);
  const [only] = found;
  if (only && found.length === 1) {
    return only;
  }
  const names = all.map(({ name }) => name).slice(0, 20);
  const [code, what] =
    file !== undefined
      ? (['model_unknown', `has no file '${file}'`] as const)
      : (['model_unsupported', all.length === 0 ? 'has neither safetensors nor GGUF files' : 'needs `file`'] as const);
  throw new SextantError(code, `${repo} ${what}${names.length > 0 ? `; its GGUF files: ${names.join(', ')}` : ''}`);
}

function hubFile({ rfilename, size, blobId, lfs }: Sibling): HubFile {
  const name = rfilename as string;
  const bytes = lfs?.size ?? size;
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw new SextantError('unavailable', `the hub states no size of ${name}`);
  }
  if (typeof lfs?.sha256 === 'string' && /^[0-9a-f]{64}$/.test(lfs.sha256)) {
    return { name, size: bytes, digest: { sha256: lfs.sha256 } };
  }
  if (typeof blobId === 'string' && /^[0-9a-f]{40}$/.test(blobId)) {
    return { name, size: bytes, digest: { git: blobId } };
  }
  throw new SextantError('unavailable', `the hub states no digest of ${name}`);
}
