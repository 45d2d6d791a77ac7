/** The state of a sweep, in this worker's cache and, now and then, where another worker finds it. */
import { copyFile, link } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { digestSchema } from '../../../shared/contracts/manifest.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import {
  restoredSweep,
  type SweepCheckpoint,
  SweepFiles,
  type SweepStore,
  storedSweep,
  sweepStateSchema,
} from '../../sae/index.ts';
import type { Checkpoints } from '../../study/index.ts';
import { bytesOfArrays } from '../../training/index.ts';
import type { JobContext } from '../handler.ts';
import { PUBLISHED_FILE, publishedArrays, TrainingCheckpoints } from './training-checkpoints.ts';

const stateSchema = z.strictObject({
  /** What is being read: an alias may mean other files on another worker. */
  model: digestSchema.nullable(),
  corpus: digestSchema,
  /** Devices that computed so far. */
  devices: z.array(z.string().max(40)).max(8),
  sweep: sweepStateSchema,
});

class PublishedSweep implements SweepStore {
  /** Devices that had a part in the sweep, in order. */
  readonly devices: string[];
  readonly #files: SweepFiles;
  readonly #last: Checkpoints['last'];
  readonly #published: TrainingCheckpoints;
  readonly #of: { model: string | null; corpus: string };

  /** @param of digests of what the sweep reads, and the device that computes */
  constructor(
    context: Pick<JobContext<unknown>, 'checkpoint' | 'scratch'>,
    files: SweepFiles,
    { model, corpus, device }: { model: string | null; corpus: string; device: string },
  ) {
    this.devices = [device];
    this.#files = files;
    this.#last = context.checkpoint.last;
    this.#published = new TrainingCheckpoints(context);
    this.#of = { model, corpus };
  }

  due(): boolean {
    return this.#published.urgent || this.#files.due();
  }

  async save(checkpoint: SweepCheckpoint): Promise<void> {
    await this.#files.save(checkpoint);
    const { state, arrays } = storedSweep(checkpoint);
    if (!this.#published.due || !this.#published.fits(arrays)) {
      return;
    }
    const saved = { ...this.#of, devices: this.devices, sweep: state };
    const folder = await this.#published.folder();
    for (const file of await this.#files.arrayFiles()) {
      const own = join(folder, basename(file));
      // Another name for the same bytes, which the next save leaves alone; a copy where scratch lies on another disk.
      await link(file, own).catch(() => copyFile(file, own));
    }
    await this.#published.begin(saved, folder, bytesOfArrays(arrays));
  }

  /**
   * The furthest of what this worker and the others know.
   * @throws SextantError `unavailable`, `artefact_mismatch` where what was published cannot be fetched
   */
  async load(): Promise<SweepCheckpoint | undefined> {
    const own = await this.#files.load();
    const parsed = stateSchema.safeParse(this.#last?.state);
    if (!this.#last || !parsed.success) {
      return own;
    }
    const { sweep, devices, ...of } = parsed.data;
    if (of.model !== this.#of.model || of.corpus !== this.#of.corpus || sweep.step <= (own?.step ?? 0)) {
      return own;
    }
    this.devices.unshift(...devices.filter((device) => !this.devices.includes(device)));
    return restoredSweep(sweep, await publishedArrays(this.#last));
  }

  /** Forgets this worker's own copy of a sweep that is finished. */
  remove(): Promise<void> {
    return this.#files.remove();
  }
}

/**
 * Where the sweep that the params describe is kept.
 * @param of digests of what it reads, and the device that computes
 */
export async function openSweep(
  context: Pick<JobContext<unknown>, 'checkpoint' | 'scratch' | 'memory' | 'params'>,
  of: { model: string | null; corpus: string; device: string },
): Promise<PublishedSweep> {
  const key = await sha256Hex(canonicalJson({ params: context.params, model: of.model, corpus: of.corpus }));
  const folder = join(context.memory, `sae.train-${key.slice(0, 32)}`);
  return new PublishedSweep(context, new SweepFiles(folder, { fileBytes: PUBLISHED_FILE }), of);
}
