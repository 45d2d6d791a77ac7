/** Where an extraction stands after a shard: what another worker needs to go on as if it had done all of it itself. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Blob } from '../../../shared/contracts/manifest.ts';
import { digestSchema } from '../../../shared/contracts/manifest.ts';
import { type ActivationShard, ActivationStatistics, type ExtractionPlace, type HookWidths } from '../../lm/index.ts';
import { BackgroundSaves, type BlobContent, type Checkpoints } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';

const count = z.number().int().nonnegative();
const stateSchema = z.strictObject({
  /** What is being read: an alias may mean other files on another worker. */
  model: digestSchema,
  corpus: digestSchema,
  /** Tokens in the finished shards. */
  tokens: count,
  shards: count,
  /** Where the pass over the corpus begins in which the next token lies, and how many tokens of it are done. */
  position: z.record(z.string(), count),
  done: count,
  /** Devices that computed the shards. */
  devices: z.array(z.string().max(40)).max(8),
});
type ExtractionState = Omit<z.infer<typeof stateSchema>, 'shards' | 'position'> & ExtractionPlace & { shards: Blob[] };
/** Digests of what is read, and the device that computes. */
type Of = { model: string; corpus: string; device: string };

const SHARD_TYPE = 'application/octet-stream';
type ExtractionContext = Pick<JobContext<unknown>, 'checkpoint' | 'artefact' | 'scratch'>;

/** All hooks' sums, one after another, as little-endian float64: exact, and too long for JSON. */
const STATISTICS = 'statistics.f64';

/** State and parts to be saved; both are copies, so that the work may go on meanwhile. */
function extractionCheckpoint({ shards, statistics, position, ...rest }: ExtractionState): {
  state: Record<string, unknown>;
  parts: { name: string; content: BlobContent }[];
} {
  const sums = Float64Array.from([...statistics.values()].flatMap(({ sums }) => [...sums]));
  return {
    state: { ...rest, devices: [...rest.devices], position: position ?? {}, shards: shards.length },
    parts: [
      ...shards.map((blob) => ({ name: blob.name, content: blob })),
      { name: STATISTICS, content: new Uint8Array(sums.buffer) },
    ],
  };
}

/**
 * What an earlier attempt saved, if it read the same corpus through the same model; else null.
 * @throws SextantError `unavailable`, `artefact_mismatch` where the saved statistics cannot be fetched
 */
async function resumedExtraction(
  last: Checkpoints['last'],
  of: Of,
  widths: HookWidths,
): Promise<ExtractionState | null> {
  const parsed = stateSchema.safeParse(last?.state);
  if (!last || !parsed.success) {
    return null;
  }
  const state = parsed.data;
  const shards = last.blobs.filter(({ name }) => name !== STATISTICS);
  if (state.model !== of.model || state.corpus !== of.corpus || state.shards !== shards.length) {
    return null;
  }
  const bytes = await readFile(await last.file(STATISTICS));
  const sums = new Float64Array(Uint8Array.from(bytes).buffer);
  const statistics = new Map<string, ActivationStatistics>();
  let at = 0;
  for (const [hook, width] of Object.entries(widths)) {
    statistics.set(hook, new ActivationStatistics(width, sums.subarray(at, at + 3 + width)));
    at += 3 + width;
  }
  return { ...state, shards, statistics };
}

/** An extraction whose shards and place are saved now and then, so that another worker goes on behind the last. */
class PublishedExtraction {
  readonly state: ExtractionState;
  readonly #context: ExtractionContext;
  readonly #saves: BackgroundSaves;

  constructor(context: ExtractionContext, state: ExtractionState) {
    this.state = state;
    this.#context = context;
    this.#saves = new BackgroundSaves(context.checkpoint);
  }

  /** Keeps a shard behind which the state stands. */
  async add(shard: ActivationShard): Promise<void> {
    const name = `activations-${String(this.state.shards.length).padStart(5, '0')}.safetensors`;
    const file = await shard.write(join(this.#context.scratch, name));
    this.state.shards.push(await this.#context.artefact(name, SHARD_TYPE, { file }));
    if (this.#saves.due) {
      const { state, parts } = extractionCheckpoint(this.state);
      void this.#saves.begin(state, parts);
    }
  }
}

/**
 * Goes on where an earlier attempt stood if it read the same corpus through the same model; else from the beginning.
 * @param widths by hook, in the order of the params
 * @throws SextantError `unavailable`, `artefact_mismatch` where the saved statistics cannot be fetched
 */
export async function openExtraction(
  context: ExtractionContext,
  widths: HookWidths,
  of: Of,
): Promise<PublishedExtraction> {
  const { device, ...read } = of;
  const state: ExtractionState = (await resumedExtraction(context.checkpoint.last, of, widths)) ?? {
    ...read,
    tokens: 0,
    shards: [],
    position: undefined,
    done: 0,
    devices: [],
    statistics: new Map(Object.entries(widths).map(([hook, width]) => [hook, new ActivationStatistics(width)])),
  };
  if (!state.devices.includes(device)) {
    state.devices.push(device);
  }
  for (const blob of state.shards) {
    await context.artefact(blob.name, SHARD_TYPE, blob);
  }
  return new PublishedExtraction(context, state);
}
