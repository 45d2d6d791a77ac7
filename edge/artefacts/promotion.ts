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
import { markStored, reserveBlobs, storedBlobs } from './ownership.ts';
import type { StagingArea } from './upload.ts';

export type AnnouncedArtefact = Blob & { n: number };
export type PromotedArtefact = Blob & { id: string };

/** How many objects are copied at a time: a Worker has six connections. */
const CONCURRENT = 4;
/** What has been promoted is credited once it comes to this. */
const CREDIT_BYTES = 64 * 1024 * 1024;
const CREDIT_MS = 2000;

/** So long a worker's call promotes before it is answered. */
export const PROMOTION_MS = 8000;

type Uploads = StagingArea & { artefacts: readonly AnnouncedArtefact[] };

/**
 * Checks what an attempt uploaded against what it announces, and promotes all of it. Nothing becomes visible by this: the
 * answer's rows do, when `artefactStatements` are run. Raises artefact_missing, artefact_mismatch, unavailable.
 */
export async function verifyAndPromote(env: Env, of: Uploads, now: number = Date.now()): Promise<PromotedArtefact[]> {
  await promoteUploads(env, of, { now });
  return of.artefacts.map(({ name, sha256, bytes, media_type }) => ({
    id: randomId('art'),
    name,
    sha256,
    bytes,
    media_type,
  }));
}

/**
 * Promotes the pieces that are not the tenant's yet, and credits each as it goes, until the time is used up: another call
 * goes on from there. Says how many are still to come. Raises as `verifyAndPromote`.
 * @param patience_ms no piece is begun after this time; one is in any case
 */
export async function promoteUploads(
  env: Env,
  of: Uploads,
  { now = Date.now(), patience_ms = Number.POSITIVE_INFINITY }: { now?: number; patience_ms?: number },
): Promise<{ left: number; of: number }> {
  const distinct = distinctPieces(of.artefacts);
  if (distinct.size === 0) {
    return { left: 0, of: 0 };
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
  const until = Date.now() + patience_ms;
  const credit = new Credit(env, of, now);
  let begun = 0;
  const promoteNext = async (): Promise<void> => {
    while (waiting.length > 0 && (begun === 0 || Date.now() < until)) {
      begun += 1;
      const next = waiting.pop() as AnnouncedArtefact;
      await promoteOne(env, of, next);
      await credit.add(next);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: CONCURRENT }, promoteNext));
  await credit.settle();
  const broken = ended.find((one) => one.status === 'rejected');
  if (broken) {
    throw broken.reason;
  }
  return { left: waiting.length, of: distinct.size };
}

/** One artefact for each digest. Raises artefact_mismatch where two announce different sizes, or one is too large. */
function distinctPieces(artefacts: readonly AnnouncedArtefact[]): Map<string, AnnouncedArtefact> {
  const distinct = new Map<string, AnnouncedArtefact>();
  for (const artefact of artefacts) {
    const first = distinct.get(artefact.sha256);
    if (first && first.bytes !== artefact.bytes) {
      throw mismatch(artefact, `another artefact with this digest was announced with ${first.bytes} bytes`);
    }
    if (artefact.bytes > SHARD_LIMIT) {
      throw mismatch(artefact, `a shard has at most ${SHARD_LIMIT} bytes`);
    }
    distinct.set(artefact.sha256, first ?? artefact);
  }
  return distinct;
}

async function promoteOne(env: Env, { tenant, job, attempt }: StagingArea, piece: AnnouncedArtefact): Promise<void> {
  try {
    await promote(env, await inspect(env, stagingKey(tenant, job, attempt, piece.n), piece), tenant);
  } catch (error) {
    // another call may have promoted it meanwhile, and removed what was staged
    const gone = error instanceof SextantError && error.code === 'artefact_missing';
    if (!gone || !(await storedBlobs(env, tenant, [piece.sha256])).has(piece.sha256)) {
      throw error;
    }
  }
}

/** Makes promoted pieces the tenant's, a few at a time, and then removes what was staged of them. */
class Credit {
  readonly #env: Env;
  readonly #of: Uploads;
  readonly #now: number;
  #pieces: AnnouncedArtefact[] = [];
  #bytes = 0;
  #since = Date.now();

  constructor(env: Env, of: Uploads, now: number) {
    this.#env = env;
    this.#of = of;
    this.#now = now;
  }

  async add(piece: AnnouncedArtefact): Promise<void> {
    this.#pieces.push(piece);
    this.#bytes += piece.bytes;
    if (this.#bytes >= CREDIT_BYTES || Date.now() - this.#since >= CREDIT_MS) {
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    const digests = new Set(this.#pieces.map(({ sha256 }) => sha256));
    if (digests.size === 0) {
      return;
    }
    this.#pieces = [];
    this.#bytes = 0;
    this.#since = Date.now();
    const { tenant, job, attempt, artefacts } = this.#of;
    await markStored(this.#env, tenant, [...digests], this.#now);
    const staged = artefacts.filter(({ sha256 }) => digests.has(sha256));
    // what stays behind here falls to the clean-up
    await this.#env.R2.delete(staged.map(({ n }) => stagingKey(tenant, job, attempt, n))).catch(() => {});
  }
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
