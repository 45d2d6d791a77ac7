/** Reading the JSON blobs of a manifested thing. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { blobKey } from '../artefacts/addresses.ts';
import type { Env } from '../environment.ts';
import type { Thing } from './reading.ts';

/** Largest blob that is parsed in a Worker, bytes. */
const LIMIT = 16 * 2 ** 20;

/** The parsed content of a blob, or null where the thing has none of that name. Raises unavailable. */
export async function readJsonBlob(env: Env, thing: Thing, name: string): Promise<unknown> {
  const blob = thing.manifest.blobs.find((one) => one.name === name);
  if (!blob) return null;
  if (blob.bytes > LIMIT) throw new SextantError('unavailable', `${name} is too large to be read here`);
  const object = await env.R2.get(blobKey(thing.tenant, blob.sha256));
  if (!object) throw new SextantError('unavailable', `the bytes of ${name} are not there`);
  return object.json();
}
