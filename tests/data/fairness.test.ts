import { describe, expect, it } from 'vitest';
import { pick, pickRows, splitRows, strataOf } from '../../gpu-worker/fairness/rows.ts';
import { gapMetrics } from '../../gpu-worker/fairness/spectral/gap-metrics.ts';
import { LayerEditor } from '../../gpu-worker/fairness/spectral/layer-editing.ts';
import { trainNetwork } from '../../gpu-worker/fairness/spectral/network-training.ts';
import { forwardNetwork } from '../../shared/fairness/predictors/network.ts';
import { compasRegression, lawRegression, loanLatent } from '../studies/fairness/tables.ts';
import { hasData } from '../support/guide.ts';

describe.skipIf(!hasData)('the public tables', () => {
  it('have the known numbers of rows', () => {
    expect(compasRegression().rows).toMatchObject({ d: 14, y: { length: 5855 } });
    expect(loanLatent().n).toBe(579);
    expect(lawRegression().group.levels).toEqual(['black', 'white']);
  });

  it('reach on COMPAS what editing both moments should: KS falls by 40 %, the error rises by less than 25 %', async () => {
    const { rows, group } = compasRegression();
    const sums = { before: { ks: 0, mse: 0 }, after: { ks: 0, mse: 0 } };
    // means over splits: KS on one test part has a deviation of a quarter of its value
    for (const seed of [33, 34, 35]) {
      const [train, , test] = splitRows(strataOf(group.groupIds, rows.y), [0.7, 0.15, 0.15], seed) as [
        Uint32Array,
        Uint32Array,
        Uint32Array,
      ];
      const [fitted, held] = [pickRows(rows, train), pickRows(rows, test)];
      const { network } = await trainNetwork(fitted, { seed });
      const editor = new LayerEditor(network, network.length - 2, fitted, pick(group.groupIds, train), 2);
      const edited = editor.edit({ c1: 15, c2: 150, refit: 'adam' }).network;
      for (const [when, net] of [['before', network] as const, ['after', edited] as const]) {
        const scores = forwardNetwork(net, held.x, held.y.length);
        const { ks, mse } = gapMetrics(scores, held.y, pick(group.groupIds, test), 2);
        sums[when].ks += ks;
        sums[when].mse += mse;
      }
    }
    expect(sums.after.ks).toBeLessThan(0.6 * sums.before.ks);
    expect(sums.after.mse).toBeLessThan(1.25 * sums.before.mse);
  });
});
