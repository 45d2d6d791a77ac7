/** One hook's vectors in blocks of equal size. */
import { type ActivationOptions, activations } from '../../gpu-worker/lm/inference/activations.ts';
import type { LanguageModel } from '../../gpu-worker/lm/inference/model.ts';

/**
 * One hook's vectors as blocks [rows, width] of equal size, shuffled over a buffer, for direct feeding into a trainer.
 * The last block may be smaller. `random(n)` gives an integer below n.
 */
export async function* activationRows(
  model: LanguageModel,
  sequences: AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
  options: Omit<ActivationOptions, 'hooks'> & {
    hook: string;
    rows: number;
    /** Rows that wait in the shuffle buffer; 0 keeps the order of the text. */
    buffer?: number;
    random?: (bound: number) => number;
  },
): AsyncGenerator<Float32Array, void, void> {
  const { hook, rows, buffer = 0, random } = options;
  const width = model.widthAt(hook)!;
  const room = Math.max(buffer, rows);
  let held = new Float32Array(room * width);
  let count = 0;
  const take = (): Float32Array => {
    const out = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const from = buffer > 0 && random ? random(count) : row;
      out.set(held.subarray(from * width, (from + 1) * width), row * width);
      if (buffer > 0 && random) {
        count--;
        held.copyWithin(from * width, count * width, (count + 1) * width);
      }
    }
    if (!(buffer > 0 && random)) {
      held.copyWithin(0, rows * width, count * width);
      count -= rows;
    }
    return out;
  };
  for await (const block of activations(model, sequences, { ...options, hooks: [hook] })) {
    const values = block.values[hook]!;
    if ((count + block.count) * width > held.length) {
      const larger = new Float32Array((count + block.count + room) * width);
      larger.set(held.subarray(0, count * width));
      held = larger;
    }
    held.set(values, count * width);
    count += block.count;
    while (count >= room) {
      yield take();
    }
  }
  while (count >= rows) {
    yield take();
  }
  if (count > 0) {
    yield held.slice(0, count * width);
  }
}
