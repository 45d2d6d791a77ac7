/**
 * Checkpoints of trainings for other workers. A state is three times the parameters, so it is published beside the work, now
 * and then, and only up to a limit: a larger training starts from the beginning where its worker does not come back.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SHARD_LIMIT } from '../../../shared/contracts/worker-call.ts';
import type { Checkpoints } from '../../study/index.ts';
import { BackgroundSaves } from '../../study/index.ts';
import { bytesOfArrays, readArrays, type StoredArrays } from '../../training/index.ts';
import type { JobContext } from '../handler.ts';

/** Largest state that is published, bytes. */
export const PUBLISHED_LIMIT = 2 ** 30;
/** Largest file of one; a blob's limit is a little higher. */
export const PUBLISHED_FILE = SHARD_LIMIT - 2 ** 20;
/**
 * At most this much is published, bytes per second: what a checkpoint replaces lies in the store for a day, so a job leaves at
 * most 45 GB there.
 */
const RATE = 5e5;
/** The pause grows with the run, so that a tenth of it is lost at most; between these bounds, ms. */
const [SHARE, SHORTEST_MS, LONGEST_MS] = [0.1, 2000, 600_000];

/** Time from one publication to the next, ms, `elapsed` ms after the attempt began. */
export const pauseAfter = (bytes: number, elapsed: number): number =>
  Math.max((1000 * bytes) / RATE, Math.min(LONGEST_MS, Math.max(SHORTEST_MS, SHARE * elapsed)));

export type CheckpointPart = Parameters<Checkpoints['save']>[1][number];

export class TrainingCheckpoints {
  readonly #scratch: string;
  readonly #checkpoints: Checkpoints;
  readonly #saves: BackgroundSaves;
  readonly #began = performance.now();
  #bytes = 0;
  #published = 0;

  constructor({ checkpoint, scratch }: Pick<JobContext<unknown>, 'checkpoint' | 'scratch'>) {
    this.#scratch = scratch;
    this.#checkpoints = checkpoint;
    this.#saves = new BackgroundSaves(checkpoint, () => pauseAfter(this.#bytes, performance.now() - this.#began));
  }

  /** Whether a state may be published now. */
  get due(): boolean {
    return this.#saves.due;
  }

  /** Whether the next state has to be published, however soon it comes. */
  get urgent(): boolean {
    return this.#checkpoints.urgent;
  }

  /** Whether these arrays can be published at all. */
  fits(arrays: StoredArrays): boolean {
    const largest = Math.max(...Object.values(arrays).map(({ data }) => data.byteLength));
    return bytesOfArrays(arrays) <= PUBLISHED_LIMIT && largest <= PUBLISHED_FILE;
  }

  /** A folder for files that are to be published. */
  async folder(): Promise<string> {
    const folder = join(this.#scratch, `checkpoint-${this.#published++}`);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Begins to publish the files of such a folder of `bytes` bytes, and `others`; removes the folder in the end. */
  async begin(
    state: Record<string, unknown>,
    folder: string,
    bytes: number,
    others: readonly CheckpointPart[] = [],
  ): Promise<void> {
    this.#bytes = bytes;
    const names = (await readdir(folder)).sort();
    const parts = [...names.map((name) => ({ name, content: { file: join(folder, name) } })), ...others];
    void this.#saves.begin(state, parts).finally(() => rm(folder, { recursive: true, force: true }));
  }
}

/**
 * The arrays of what an earlier attempt published, in all of its files but `others`.
 * @throws SextantError `unavailable`, `artefact_mismatch`
 */
export async function publishedArrays(
  last: NonNullable<Checkpoints['last']>,
  others: ReadonlySet<string> = new Set(),
): Promise<StoredArrays> {
  const files: string[] = [];
  for (const { name } of last.blobs.filter((blob) => !others.has(blob.name))) {
    files.push(await last.file(name));
  }
  return readArrays(files);
}
