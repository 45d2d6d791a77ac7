/** Puts an attempt's files into its staging area; the edge checks and promotes them when the job completes. */
import { openAsBlob } from 'node:fs';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type CompleteRequest, type Uploads, uploadsSchema } from '../../shared/contracts/worker-call.ts';
import type { WrittenArtefact } from './computation-messages.ts';
import type { EdgeCalls } from './edge-calls.ts';
import type { Lease } from './lease.ts';

/** Blobs per announcement. */
const BATCH = 256;
const CONCURRENT = 4;
/** A transfer may take this long, and longer by what its bytes take at a slow line's pace. */
const SILENCE_MS = 60_000;
const SLOW_BYTES_PER_MS = 100;
/** Answers of a bucket to an address that has outlived its time. */
const EXPIRED = [400, 401, 403];

type Address = Uploads['uploads'][number];

export class Uploader {
  readonly #edge: EdgeCalls;
  readonly #of: { job: string; fence: string };
  readonly #lease: Lease;

  constructor(edge: EdgeCalls, of: { job: string; fence: string }, lease: Lease) {
    this.#edge = edge;
    this.#of = of;
    this.#lease = lease;
  }

  /**
   * Uploads what the tenant does not own yet, for as long as the lease lives; answers the list for the completion.
   * Raises `artefact_missing`, what the edge refuses for good, and `unavailable` where the lease ended first.
   */
  async upload(artefacts: readonly WrittenArtefact[]): Promise<CompleteRequest['artefacts']> {
    const listed: CompleteRequest['artefacts'] = [];
    for (let from = 0; from < artefacts.length; from += BATCH) {
      const batch = artefacts.slice(from, from + BATCH);
      const uploads = await this.#announce(batch);
      const numbers = new Array<number>(batch.length).fill(0);
      const waiting = [...batch.entries()];
      const putNext = async (): Promise<void> => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const [i, artefact] = next;
          numbers[i] = await this.#put(artefact, uploads[i] ?? { n: 0, url: null });
        }
      };
      await Promise.all(Array.from({ length: CONCURRENT }, putNext));
      for (const [i, { file: _file, ...blob }] of batch.entries()) {
        listed.push({ ...blob, n: numbers[i] ?? 0 });
      }
    }
    return listed;
  }

  /** Addresses for the artefacts, in their order. */
  #announce(artefacts: readonly WrittenArtefact[]): Promise<Address[]> {
    const blobs = artefacts.map(({ sha256, bytes }) => ({ sha256, bytes }));
    const { job, fence } = this.#of;
    return this.#lease.persist(async () => {
      const asked = { fence, schema: uploadsSchema, signal: this.#lease.signal };
      return (await this.#edge.post(`/internal/jobs/${job}/uploads`, { blobs }, asked)).uploads;
    });
  }

  /** The number under which the edge finds the bytes. */
  async #put(artefact: WrittenArtefact, given: Address): Promise<number> {
    const { file, name, bytes } = artefact;
    let address = given;
    if (address.url === null) {
      return address.n;
    }
    if (file === null) {
      throw new SextantError('artefact_missing', `the bytes of '${name}' are no longer kept`);
    }
    return this.#lease.persist(async () => {
      if (address.url === null) {
        return address.n;
      }
      const body = await openAsBlob(file);
      const silence = AbortSignal.timeout(SILENCE_MS + Math.ceil(bytes / SLOW_BYTES_PER_MS));
      const signal = AbortSignal.any([this.#lease.signal, silence]);
      const status = await fetch(address.url, { method: 'PUT', body, signal }).then(
        async (response) => {
          await response.body?.cancel();
          return response.ok ? null : response.status;
        },
        (error: unknown) => String(error),
      );
      if (status === null) {
        return address.n;
      }
      if (typeof status === 'number' && EXPIRED.includes(status)) {
        [address = given] = await this.#announce([artefact]);
      }
      throw new SextantError('unavailable', `the artefact '${name}' cannot be uploaded: ${status}`);
    });
  }
}
