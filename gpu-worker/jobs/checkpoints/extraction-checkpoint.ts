/** Where an extraction stands after a shard: what another worker needs to go on as if it had done all of it itself. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Blob } from '../../../shared/contracts/manifest.ts';
import { digestSchema } from '../../../shared/contracts/manifest.ts';
import type { CorpusPosition } from '../../lm/index.ts';
import type { BlobContent, Checkpoints } from '../../study/index.ts';
import { ActivationStatistics } from '../outputs/activation-statistics.ts';

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
export type ExtractionState = Omit<z.infer<typeof stateSchema>, 'shards' | 'position'> & {
  position: CorpusPosition | undefined;
  shards: Blob[];
  statistics: Map<string, ActivationStatistics>;
};

/** All hooks' sums, one after another, as little-endian float64: exact, and too long for JSON. */
const STATISTICS = 'statistics.f64';

/** State and parts to be saved; both are copies, so that the work may go on meanwhile. */
export function extractionCheckpoint({ shards, statistics, position, ...rest }: ExtractionState): {
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
 * What an earlier attempt saved, if it read the same corpus through the same model; else null, and the work starts from the beginning.
 * @param widths by hook, in the order of the params
 * @throws SextantError `unavailable`, `artefact_mismatch` where the saved statistics cannot be fetched
 */
export async function resumedExtraction(
  last: Checkpoints['last'],
  of: { model: string; corpus: string; widths: Readonly<Record<string, number>> },
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
  for (const [hook, width] of Object.entries(of.widths)) {
    statistics.set(hook, new ActivationStatistics(width, sums.subarray(at, at + 3 + width)));
    at += 3 + width;
  }
  return { ...state, shards, statistics };
}
