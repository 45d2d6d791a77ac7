/** Params of a job from the command line, checked by the type's contract before anything is sent. */
import { existsSync, openAsBlob, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Artefact, JobType, Sextant } from '../index.ts';
import { CommandError } from './exit-status.ts';

const ARTEFACT_ID = /^art_[a-z2-7]{26}$/;
/** Stands for a file that is not uploaded yet, while the contract looks at the rest. */
const PLACEHOLDER = `art_${'a'.repeat(26)}`;

/** Fields whose value is the list of the artefacts that a file of any size comes in. */
const TAKES_PARTS = /^(parts|archive)$/;

type Params = Record<string, unknown>;
/** `several`: the field takes the file in parts. */
type Place = { in: Record<string, unknown>; name: string; file: string; several: boolean };

/** A JSON file, or standard input for `-`. */
export function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CommandError('usage', `${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError('usage', `${file}: JSON is expected (${(error as Error).message})`);
  }
}

/** `a.b=1` over what the file says: values are JSON where they read as such, texts otherwise. */
export function paramsOf(file: string | undefined, pairs: readonly string[]): Params {
  const read = file === undefined ? {} : readJson(file);
  if (typeof read !== 'object' || read === null || Array.isArray(read)) {
    throw new CommandError('usage', `${file}: an object of params is expected`);
  }
  const params = read as Params;
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) {
      throw new CommandError('usage', `--param ${pair}: name=value is expected, such as steps=100`);
    }
    const path = pair.slice(0, at).split('.');
    const text = pair.slice(at + 1);
    let value: unknown = text;
    try {
      value = JSON.parse(text);
    } catch {
      // a text then
    }
    let into = params;
    for (const name of path.slice(0, -1)) {
      if (!Object.hasOwn(into, name) || typeof into[name] !== 'object' || into[name] === null) {
        Object.defineProperty(into, name, { value: {}, enumerable: true, writable: true, configurable: true });
      }
      into = into[name] as Params;
    }
    Object.defineProperty(into, path.at(-1)!, { value, enumerable: true, writable: true, configurable: true });
  }
  return params;
}

/**
 * The params as the contract takes them, local files still named. @throws CommandError `usage` that names every misfit, and
 * the types there are
 */
async function checked(type: string, params: Params): Promise<{ type: JobType; places: Place[] }> {
  const { JOB_CONTRACTS } = await import('../../../shared/jobs/index.generated.ts');
  const contract = Object.hasOwn(JOB_CONTRACTS, type) ? JOB_CONTRACTS[type] : undefined;
  if (!contract) {
    throw new CommandError(
      'usage',
      `there is no job type ${type}; the types are ${Object.keys(JOB_CONTRACTS).join(', ')}`,
    );
  }
  const places: Place[] = [];
  const files = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    if (Array.isArray(value)) {
      return value.map(files);
    }
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => {
        const file = typeof one === 'string' && isFileReference(name, one) ? one.replace(/^@/, '') : null;
        if (file === null) {
          return [name, files(one)];
        }
        const several = TAKES_PARTS.test(name);
        places.push({ in: value as Record<string, unknown>, name, file, several });
        return [name, several ? [PLACEHOLDER] : PLACEHOLDER];
      }),
    );
  };
  const found = contract.params.safeParse(files(params));
  if (!found.success) {
    const issues = found.error.issues.map(({ path, message }) => `\n  ${path.join('.') || '(params)'}: ${message}`);
    throw new CommandError('usage', `the params do not fit ${type}:${issues.join('')}`);
  }
  return { type: type as JobType, places };
}

/** `@file` anywhere; a field that takes an artefact may name a file as it is. */
const isFileReference = (name: string, value: string): boolean =>
  value.startsWith('@') || (/^(artefact|record|file)$/.test(name) && !ARTEFACT_ID.test(value) && existsSync(value));

/** Checks the params, then uploads the files that they name and puts the artefacts' ids in their place. */
export async function readied(
  clientOf: () => Sextant,
  type: string,
  params: Params,
  options: { signal?: AbortSignal; told: (text: string) => void },
): Promise<{ type: JobType; params: never }> {
  const { type: known, places } = await checked(type, params);
  const client = clientOf();
  for (const place of places) {
    const ids = (await uploadFile(client, place.file, { ...options, several: place.several })).map(({ id }) => id);
    place.in[place.name] = place.several ? ids : ids[0];
  }
  return { type: known, params: params as never };
}

/** Uploads the file: as one artefact, or as `several` where it is larger than one may be. @throws CommandError */
export async function uploadFile(
  client: Sextant,
  file: string,
  { signal, told, several }: { signal?: AbortSignal; told: (text: string) => void; several: boolean },
): Promise<Artefact[]> {
  let blob: Blob;
  try {
    if (!statSync(file).isFile()) {
      throw new CommandError('usage', `${file}: a file is expected`);
    }
    blob = await openAsBlob(file);
  } catch (error) {
    if (error instanceof CommandError) {
      throw error;
    }
    throw new CommandError('usage', `${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const { SHARD_LIMIT } = await import('../../../shared/contracts/worker-call.ts');
  if (!several && blob.size > SHARD_LIMIT) {
    throw new CommandError(
      'limit',
      `${file}: ${blob.size} bytes, and one artefact has at most ${SHARD_LIMIT}; a larger file comes in parts, as model.import takes them (--param source.archive=@${file})`,
    );
  }
  told(`uploading ${file} (${blob.size} bytes)`);
  const mediaType = /\.csv$/i.test(file) ? 'text/csv' : 'application/octet-stream';
  const options = { name: basename(file), mediaType, ...(signal ? { signal } : {}) };
  return several ? client.artefacts.uploadParts(blob, options) : [await client.artefacts.upload(blob, options)];
}
