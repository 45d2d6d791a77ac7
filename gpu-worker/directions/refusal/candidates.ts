/** Candidate directions: for each layer and template position the harmful mean of the stream minus the harmless one. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { eachBatch, type Row } from '../rows.ts';
import { difference } from '../vectors.ts';

/** Where a direction is taken: a position counted from the end (-1 is the last), and the block that the stream enters. */
export type Source = { position: number; layer: number };
/** `vector` is raw: its norm is the distance of the two means. */
export type Candidate = Source & { vector: Float64Array };

/** Mean streams [positions][layers], sums in float64. @throws SextantError `data_invalid` for a prompt that is too short */
async function meanStreams(
  model: LanguageModel,
  prompts: readonly Row[],
  positions: readonly number[],
): Promise<Float64Array[][]> {
  const { layers, width } = model.architecture;
  const longest = Math.max(...positions.map((position) => -position));
  const short = prompts.findIndex(({ ids }) => ids.length < longest);
  if (short >= 0 || prompts.length === 0) {
    throw new SextantError(
      'data_invalid',
      prompts.length === 0
        ? 'there is no prompt to take a mean over'
        : `prompt ${short} has ${prompts[short]!.ids.length} tokens; position -${longest} is asked for`,
    );
  }
  const hooks = Array.from({ length: layers }, (_, layer) => `resid_pre.${layer}`);
  const sums = positions.map(() => hooks.map(() => new Float64Array(width)));
  await eachBatch(
    model,
    prompts,
    (batch) => {
      const seq = batch[0]!.ids.length;
      const tapAt = batch.flatMap((_, row) => positions.map((position) => (row + 1) * seq + position));
      return { taps: hooks, tapAt, logits: 'none' };
    },
    ({ taps }, numbers) => {
      for (const [layer, hook] of hooks.entries()) {
        const { data } = taps[hook]!;
        for (let row = 0; row < numbers.length; row++) {
          for (const [p, byLayer] of sums.entries()) {
            const [sum, from] = [byLayer[layer]!, (row * positions.length + p) * width];
            for (let i = 0; i < width; i++) {
              sum[i]! += data[from + i]!;
            }
          }
        }
      }
    },
  );
  return sums.map((byLayer) => byLayer.map((sum) => sum.map((value) => value / prompts.length)));
}

type Candidates = {
  /** By position, then by layer. */
  candidates: Candidate[];
  /** The harmless mean at each of them. */
  harmless: Float64Array[];
};

export async function candidateDirections(
  model: LanguageModel,
  { harmful, harmless }: { harmful: readonly Row[]; harmless: readonly Row[] },
  positions: readonly number[],
): Promise<Candidates> {
  const up = await meanStreams(model, harmful, positions);
  const down = await meanStreams(model, harmless, positions);
  return {
    candidates: positions.flatMap((position, p) =>
      up[p]!.map((mean, layer) => ({ position, layer, vector: difference(mean, down[p]![layer]!) })),
    ),
    harmless: down.flat(),
  };
}

/** The stream [prompts, width] that enters one block at one position. */
export async function streamsAt(
  model: LanguageModel,
  prompts: readonly Row[],
  { position, layer }: Source,
): Promise<Float32Array> {
  const { width } = model.architecture;
  const hook = `resid_pre.${layer}`;
  const out = new Float32Array(prompts.length * width);
  await eachBatch(
    model,
    prompts,
    (batch) => {
      const seq = batch[0]!.ids.length;
      return { taps: [hook], tapAt: batch.map((_, row) => (row + 1) * seq + position), logits: 'none' };
    },
    ({ taps }, numbers) => {
      for (const [i, row] of numbers.entries()) {
        out.set(taps[hook]!.data.subarray(i * width, (i + 1) * width), row * width);
      }
    },
  );
  return out;
}
