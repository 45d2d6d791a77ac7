import { expect, it } from 'vitest';
import { adam } from '../../../gpu-worker/nn/index.ts';
import { Trainer } from '../../../gpu-worker/training/index.ts';
import { transformer } from '../../bench/engine/models.ts';

it('two runs with one seed are bitwise equal on two threads, repeated embedding rows included', async () => {
  // A vocabulary far smaller than the number of tokens: every row gets many gradients.
  const model = transformer({ layers: 1, width: 64, heads: 4, batch: 8, length: 64 }, 64);
  const feeds = model.feeds(3);
  const run = async () => {
    const trainer = await Trainer.create({
      name: 'twice',
      loss: model.loss,
      optimiser: adam(),
      rate: 1e-3,
      seed: 2,
      threads: 2,
    });
    async function* chunks() {
      yield { steps: 3, feeds };
    }
    const losses: number[] = [];
    for await (const { metrics } of trainer.run(chunks)) {
      losses.push(...metrics.loss);
    }
    const { tensors } = await trainer.checkpoint();
    await trainer.release();
    return { losses, tensors };
  };
  const [first, second] = [await run(), await run()];
  expect(second.losses).toEqual(first.losses);
  for (const [name, { data }] of Object.entries(first.tensors)) {
    expect(Buffer.compare(Buffer.from(data.buffer), Buffer.from(second.tensors[name]!.data.buffer)), name).toBe(0);
  }
});
