/**
 * From staging to a blob. What is promoted is one version of the staged object: it is read under the etag that was looked
 * at, and the bucket refuses the copy unless exactly these bytes have the announced digest. The copy is create-only.
 */

import type { Blob } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { SHARD_LIMIT } from '../../shared/contracts/worker-call.ts';
import { randomId } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';
import { blobKey, stagingKey } from './addresses.ts';
import { markStored, reserveBlobs } from './ownership.ts';
import type { StagingArea } from './upload.ts';

export type AnnouncedArtefact = Blob & { n: number };
export type PromotedArtefact = Blob & { id: string };

/** How many objects are copied at a time: a Worker has six connections. */
const CONCURRENT = 4;

/**
 * Checks what an attempt uploaded against what it announces, and promotes all of it. Nothing becomes visible by this: the
 * answer's rows do, when `artefactStatements` are run. Raises artefact_missing, artefact_mismatch, unavailable.
 */
export async function verifyAndPromote(
  env: Env,
  of: StagingArea & { artefacts: readonly AnnouncedArtefact[] },
  now: number = Date.now(),
): Promise<PromotedArtefact[]> {
  const distinct = new Map<string, AnnouncedArtefact>();
  for (const artefact of of.artefacts) {
    const first = distinct.get(artefact.sha256);
    if (first && first.bytes !== artefact.bytes) {
      throw mismatch(artefact, `another artefact with this digest was announced with ${first.bytes} bytes`);
    }
    if (artefact.bytes > SHARD_LIMIT) {
      throw mismatch(artefact, `a shard has at most ${SHARD_LIMIT} bytes`);
    }
    distinct.set(artefact.sha256, first ?? artefact);
  }
  if (distinct.size === 0) {
    return [];
  }
  const stored = await reserveBlobs(env, of.tenant, [...distinct.values()], now);
  const waiting: AnnouncedArtefact[] = [];
  for (const artefact of distinct.values()) {
    const bytes = stored.get(artefact.sha256);
    if (bytes === undefined) {
      waiting.push(artefact);
    } else if (bytes !== artefact.bytes) {
      throw mismatch(artefact, `bytes with this digest are ${bytes} long`);
    }
  }
  const promoteNext = async (): Promise<void> => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const staged = stagingKey(of.tenant, of.job, of.attempt, next.n);
      await promote(env, await inspect(env, staged, next), of.tenant);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, promoteNext));
  await markStored(env, of.tenant, [...distinct.keys()], now);
  return of.artefacts.map(({ name, sha256, bytes, media_type }) => ({
    id: randomId('art'),
    name,
    sha256,
    bytes,
    media_type,
  }));
}

/** One version of a staged object whose size is right. */
type Inspected = { key: string; etag: string; artefact: Blob };

/** Looks at a staged object. Raises artefact_missing or, for a wrong size, artefact_mismatch. */
export async function inspect(env: Env, key: string, artefact: Blob): Promise<Inspected> {
  const head = await env.R2.head(key);
  if (!head) {
    throw new SextantError('artefact_missing', `the artefact "${artefact.name}" (${artefact.sha256}) was not uploaded`);
  }
  if (head.size !== artefact.bytes) {
    throw mismatch(artefact, `${head.size} bytes were uploaded`);
  }
  return { key, etag: head.etag, artefact };
}

/** Promotes the inspected version. Raises artefact_mismatch where it was overwritten or has another digest. */
export async function promote(env: Env, { key, etag, artefact }: Inspected, tenant: string): Promise<void> {
  const version = await env.R2.get(key, { onlyIf: { etagMatches: etag } });
  if (!version) {
    throw new SextantError('artefact_missing', `the upload of "${artefact.name}" has gone`);
  }
  if (!('body' in version)) {
    throw mismatch(artefact, 'the upload was overwritten while it was being checked');
  }
  try {
    // create-only: null means that these bytes lie there already, under a name that only such a check can write
    await env.R2.put(blobKey(tenant, artefact.sha256), version.body, {
      onlyIf: { etagDoesNotMatch: '*' },
      sha256: artefact.sha256,
      httpMetadata: { contentType: artefact.media_type },
    });
  } catch (error) {
    // the bucket's own code for a checksum that does not fit
    if (/\(10037\)|checksum/i.test(String(error))) {
      throw mismatch(artefact, 'the upload has another digest');
    }
    throw error;
  }
}

const mismatch = (artefact: Blob, what: string): SextantError =>
  new SextantError(
    'artefact_mismatch',
    `the artefact "${artefact.name}" was announced with ${artefact.bytes} bytes and digest ${artefact.sha256}, but ${what}`,
  );
