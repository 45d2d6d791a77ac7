/** The points of a block-sparse comparison that are done and the run in progress, published where another worker finds them. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { pointFiguresSchema } from '../../../shared/contracts/block-sparse.ts';
import type { RunState } from '../../block-sparse/training/run.ts';
import { bytesOfArrays, type StoredArrays, writeArrays } from '../../training/index.ts';
import type { JobContext } from '../handler.ts';
import { PUBLISHED_FILE, publishedArrays, TrainingCheckpoints } from './training-checkpoints.ts';

type Figures = z.output<typeof pointFiguresSchema>;

const runSchema = z.strictObject({
  training: z.strictObject({
    name: z.string(),
    step: z.number().int().nonnegative(),
    optimiser: z.strictObject({ name: z.string(), settings: z.record(z.string(), z.number()) }),
  }),
  masks: z.array(z.string()),
  curve: pointFiguresSchema.shape.curve,
  seconds: z.number(),
});
const stateSchema = z.strictObject({
  /** What is compared, and on which data. */
  of: z.string(),
  /** Points that are done; their figures are a part of their own, since a state is short. */
  done: z.number().int().nonnegative(),
  /** The run of the next point, whose arrays are the parts. */
  run: runSchema.nullable(),
});

const DONE = 'done.json';

/** Names of masks among the arrays; no parameter's name begins so. */
const MASK = 'mask/';

export class PublishedPoints {
  readonly #context: Pick<JobContext<unknown>, 'checkpoint' | 'scratch'>;
  readonly #published: TrainingCheckpoints;
  readonly #of: string;

  /** @param of digest of what is compared and of the data */
  constructor(context: Pick<JobContext<unknown>, 'checkpoint' | 'scratch'>, of: string) {
    this.#context = context;
    this.#published = new TrainingCheckpoints(context);
    this.#of = of;
  }

  /** Publishes where the work stands, if it is time to and its size allows it. */
  async save(done: readonly Figures[], take: () => Promise<RunState>): Promise<void> {
    if (!this.#published.due) {
      return;
    }
    const { training, masks, curve, seconds } = await take();
    const { tensors, ...rest } = training;
    const masked = Object.entries(masks).map(
      ([name, data]) => [`${MASK}${name}`, { shape: [data.length], data }] as const,
    );
    const arrays = { ...(tensors as StoredArrays), ...Object.fromEntries(masked) };
    if (!this.#published.fits(arrays)) {
      return;
    }
    const folder = await this.#published.folder();
    await writeArrays(folder, arrays, PUBLISHED_FILE);
    const run = { training: rest, masks: Object.keys(masks), curve, seconds };
    const figures = { name: DONE, content: new TextEncoder().encode(JSON.stringify(done)) };
    const state = { of: this.#of, done: done.length, run };
    await this.#published.begin(state, folder, bytesOfArrays(arrays), [figures]);
  }

  /**
   * What another attempt published of the same comparison.
   * @throws SextantError `unavailable`, `artefact_mismatch` where it cannot be fetched
   */
  async load(): Promise<{ done: Figures[]; run: RunState | null }> {
    const { last } = this.#context.checkpoint;
    const parsed = stateSchema.safeParse(last?.state);
    if (!last || !parsed.success || parsed.data.of !== this.#of) {
      return { done: [], run: null };
    }
    const { run } = parsed.data;
    const figures = z.array(pointFiguresSchema).safeParse(JSON.parse(await readFile(await last.file(DONE), 'utf8')));
    if (!figures.success || figures.data.length !== parsed.data.done) {
      return { done: [], run: null };
    }
    const done = figures.data;
    if (!run) {
      return { done, run: null };
    }
    const arrays = Object.entries(await publishedArrays(last, new Set([DONE])));
    const tensors = Object.fromEntries(arrays.filter(([name]) => !name.startsWith(MASK)));
    const masks = Object.fromEntries(
      arrays
        .filter(([name]) => name.startsWith(MASK))
        .map(([name, { data }]) => [name.slice(MASK.length), Float32Array.from(data)]),
    );
    return { done, run: { training: { ...run.training, tensors }, masks, curve: run.curve, seconds: run.seconds } };
  }
}
