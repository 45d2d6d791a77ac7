/** The state of a language model's training, published now and then where another worker finds it. */
import { z } from 'zod';
import { digestSchema } from '../../../shared/contracts/manifest.ts';
import { bytesOfArrays, type Checkpoint, type StoredArrays, writeArrays } from '../../training/index.ts';
import type { JobContext } from '../handler.ts';
import { type CheckpointPart, PUBLISHED_FILE, publishedArrays, TrainingCheckpoints } from './training-checkpoints.ts';

const keptSchema = z.strictObject({
  step: z.number().int().positive(),
  files: z.array(z.strictObject({ name: z.string().regex(/^[\w.-]+$/), part: z.string() })).max(1000),
});
export type KeptModel = z.output<typeof keptSchema>;

const stateSchema = z.strictObject({
  /** What is trained further and what is read: an alias may mean other files on another worker. */
  parent: digestSchema.nullable(),
  corpus: digestSchema,
  /** Devices that computed so far. */
  devices: z.array(z.string().max(40)).max(8),
  training: z.strictObject({
    name: z.string(),
    step: z.number().int().nonnegative(),
    optimiser: z.strictObject({ name: z.string(), settings: z.record(z.string(), z.number()) }),
  }),
  /** Models that were to be kept at steps before this one, and the parts that their files are. */
  kept: z.array(keptSchema).max(1000),
});
type Of = { parent: string | null; corpus: string };

export class PublishedTraining {
  /** Devices that had a part in the training, in order. */
  readonly devices: string[];
  readonly #last: JobContext<unknown>['checkpoint']['last'];
  readonly #published: TrainingCheckpoints;
  readonly #of: Of;
  #worthwhile = true;

  /** @param of digests of what the training reads, and the device that computes */
  constructor(
    context: Pick<JobContext<unknown>, 'checkpoint' | 'scratch'>,
    { device, ...of }: Of & { device: string },
  ) {
    this.devices = [device];
    this.#last = context.checkpoint.last;
    this.#published = new TrainingCheckpoints(context);
    this.#of = of;
  }

  /** Publishes the state, and the models kept so far, if it is time to and its size allows it. */
  async save(
    take: () => Promise<Checkpoint>,
    keptModels: () => Promise<{ kept: KeptModel[]; parts: CheckpointPart[] }> = async () => ({ kept: [], parts: [] }),
  ): Promise<void> {
    if (!this.#worthwhile || !this.#published.due) {
      return;
    }
    const { tensors, ...training } = await take();
    const arrays = tensors as StoredArrays;
    this.#worthwhile = this.#published.fits(arrays);
    if (!this.#worthwhile) {
      return;
    }
    const folder = await this.#published.folder();
    await writeArrays(folder, arrays, PUBLISHED_FILE);
    const { kept, parts } = await keptModels();
    const state = { ...this.#of, devices: this.devices, training, kept };
    await this.#published.begin(state, folder, bytesOfArrays(arrays), parts);
  }

  /**
   * What another attempt published, if it learned the same; else undefined.
   * @throws SextantError `unavailable`, `artefact_mismatch` where it cannot be fetched
   */
  async load(): Promise<{ training: Checkpoint; kept: KeptModel[] } | undefined> {
    const parsed = stateSchema.safeParse(this.#last?.state);
    if (!this.#last || !parsed.success) {
      return undefined;
    }
    const { training, devices, parent, corpus, kept } = parsed.data;
    if (parent !== this.#of.parent || corpus !== this.#of.corpus) {
      return undefined;
    }
    this.devices.unshift(...devices.filter((device) => !this.devices.includes(device)));
    const others = new Set(kept.flatMap(({ files }) => files.map(({ part }) => part)));
    return { training: { ...training, tensors: await publishedArrays(this.#last, others) }, kept };
  }
}
