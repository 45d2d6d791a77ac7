/** The mean loss of a model on token rows with one block in memory at a time: for models that memory does not hold whole. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type ModelFolder, readWeight } from '../weights/folder.ts';
import { BlockRunner, weightsOfBlock } from './blocks.ts';

/** Tokens of a pass: what a block computes of more takes memory and little less time. */
const PASS_TOKENS = 512;
/** Logits that are computed at once. */
const LOGITS = 4_194_304;

/** Rows of equal length together, so that nothing is padded, in passes of at most `PASS_TOKENS`. */
export function passesOf(rows: readonly ArrayLike<number>[]): ArrayLike<number>[][] {
  const byLength = new Map<number, ArrayLike<number>[]>();
  for (const row of rows) {
    byLength.set(row.length, [...(byLength.get(row.length) ?? []), row]);
  }
  return [...byLength].flatMap(([length, equal]) => {
    const count = Math.max(1, Math.floor(PASS_TOKENS / length));
    return Array.from({ length: Math.ceil(equal.length / count) }, (_, i) => equal.slice(i * count, (i + 1) * count));
  });
}

/**
 * Nats per predicted token, each row on its own; sums are float64.
 * @throws SextantError `data_invalid` where no token is predicted; as `makeBatch`
 */
export async function blockwiseLoss(
  folder: ModelFolder,
  rows: readonly ArrayLike<number>[],
  options: { threads?: number | undefined } = {},
): Promise<number> {
  const { layers, width, vocabulary } = folder.architecture;
  const runner = new BlockRunner(folder, options);
  try {
    const parts = passesOf(rows);
    const passes = (await runner.embed(parts)).map((stream, i) => ({ stream, rows: parts[i]! }));
    for (let layer = 0; layer < layers; layer++) {
      const values = new Map(weightsOfBlock(folder, layer).map(({ name }) => [name, readWeight(folder, name)]));
      for (const { stream } of passes) {
        stream.data = (await runner.pass(layer, stream, values, { inputs: [], output: true })).output!;
      }
    }
    let [total, tokens] = [0, 0];
    const size = Math.max(1, Math.floor(LOGITS / vocabulary));
    for (const { stream, rows: ids } of passes) {
      for (const [row, own] of ids.entries()) {
        for (let from = 0; from + 1 < own.length; from += size) {
          const to = Math.min(own.length - 1, from + size);
          const labels = BigInt64Array.from({ length: to - from }, (_, i) => BigInt(own[from + i + 1]!));
          const at = row * stream.seq * width;
          for (const loss of await runner.losses(stream.data.subarray(at + from * width, at + to * width), labels)) {
            total += loss;
          }
          tokens += to - from;
        }
      }
    }
    if (tokens === 0) {
      throw new SextantError('data_invalid', 'there is no token to predict: sequences have two or more');
    }
    return total / tokens;
  } finally {
    await runner.release();
  }
}
