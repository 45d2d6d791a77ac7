/** Reading the JSON blobs of a published result. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { blobKey } from '../artefacts/addresses.ts';
import type { Env } from '../environment.ts';
import type { PublishedResult } from './reading.ts';

/** Largest blob that is parsed in a Worker, bytes. */
const LIMIT = 16 * 2 ** 20;

/** The parsed content of a blob, or null where the result has none of that name. Raises unavailable. */
export async function readJsonBlob(env: Env, result: PublishedResult, name: string): Promise<unknown> {
  const blob = result.manifest.blobs.find((one) => one.name === name);
  if (!blob) {
    return null;
  }
  if (blob.bytes > LIMIT) {
    throw new SextantError('unavailable', `${name} is too large to be read here`);
  }
  const object = await env.R2.get(blobKey(result.tenant, blob.sha256));
  if (!object) {
    throw new SextantError('unavailable', `the bytes of ${name} are not there`);
  }
  return object.json();
}
