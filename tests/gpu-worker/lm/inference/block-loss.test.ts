/** The loss block by block is the loss of the whole model. */
import { afterAll, describe, expect, it } from 'vitest';
import { crossEntropy } from '../../../../gpu-worker/lm/evaluate.ts';
import { blockwiseLoss } from '../../../../gpu-worker/lm/inference/block-loss.ts';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { TINY, type TinyModel, tinyModel } from '../../../support/tiny-model.ts';

describe('the loss block by block', () => {
  const made: TinyModel[] = [];
  afterAll(() => {
    for (const model of made) {
      model.remove();
    }
  });

  it.each(Object.keys(TINY))('is that of the whole %s, on rows of several lengths', async (family) => {
    const tiny = tinyModel({ ...TINY[family]! });
    made.push(tiny);
    const model = await loadModel(tiny.folder, { threads: 1 });
    const { vocabulary } = model.architecture;
    const rows = [7, 12, 7, 2].map((length, r) => Array.from({ length }, (_, i) => (5 * r + 3 * i + 1) % vocabulary));
    const { loss } = await crossEntropy(model, rows);
    expect(await blockwiseLoss(model.folder, rows, { threads: 1 })).toBeCloseTo(loss, 5);
    await model.release();
  });

  it('refuses rows in which nothing is predicted', async () => {
    const tiny = tinyModel({ ...TINY.llama! });
    made.push(tiny);
    const model = await loadModel(tiny.folder, { threads: 1 });
    await expect(blockwiseLoss(model.folder, [[1], [2]])).rejects.toMatchObject({ code: 'data_invalid' });
    await model.release();
  });
});
