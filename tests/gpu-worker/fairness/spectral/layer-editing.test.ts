import { describe, expect, it } from 'vitest';
import type { Rows } from '../../../../gpu-worker/fairness/rows.ts';
import { gapMetrics } from '../../../../gpu-worker/fairness/spectral/gap-metrics.ts';
import { LayerEditor } from '../../../../gpu-worker/fairness/spectral/layer-editing.ts';
import { trainNetwork } from '../../../../gpu-worker/fairness/spectral/network-training.ts';
import { momentsByGroup } from '../../../../shared/fairness/moments.ts';
import { forwardNetwork } from '../../../../shared/fairness/predictors/network.ts';
import { correctLayer } from '../../../../shared/fairness/spectral/layer.ts';
import { stream } from '../../../../shared/math/random.ts';

/** A target that leans on a feature whose mean and spread differ between two groups. */
function world(n: number, seed: number): { rows: Rows; groupIds: Uint8Array } {
  const z = stream(seed, 'z').normal(5 * n);
  const groupIds = Uint8Array.from({ length: n }, (_, i) => i % 2);
  const x = new Float64Array(4 * n);
  const y = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < 4; j++) {
      x[4 * i + j] = z[5 * i + j]!;
    }
    x[4 * i] = (groupIds[i] ? 1.5 : 0.8) * x[4 * i]! + (groupIds[i] ? 1 : -0.2);
    y[i] = Math.tanh(x[4 * i]!) + 0.5 * x[4 * i + 1]! + 0.3 * z[5 * i + 4]!;
  }
  return { rows: { x, y, d: 4 }, groupIds };
}

describe('a trained network', () => {
  const { rows, groupIds } = world(2000, 1);
  const test = world(1000, 2);
  const trained = trainNetwork(rows, { hidden: [32, 24], epochs: 12, rate: 3e-3, decay: 0.9, batch: 64, seed: 4 });

  it('fits, and its edited layer is that of the closed form', async () => {
    const { network, loss } = await trained;
    expect(loss).toBeLessThan(0.13);
    const before = gapMetrics(forwardNetwork(network, test.rows.x, 1000), test.rows.y, test.groupIds, 2);
    expect(before.mse).toBeLessThan(0.14);
    const editor = new LayerEditor(network, 1, rows, groupIds, 2);
    const moments = momentsByGroup(forwardNetwork(network, rows.x, 2000, 1), 32, groupIds, 2);
    const w = { rows: 24, cols: 32, data: network[1]!.weights };
    const direct = correctLayer(w, moments, { c1: 15, c2: 150 });
    const { network: edited, report } = editor.edit({ c1: 15, c2: 150, refit: 'none' });
    edited[1]!.weights.forEach((value, i) => {
      expect(value).toBeCloseTo(direct.weights.data[i]!, 10);
    });
    expect(report.steps.map((s) => s.kind)).toEqual(['covariance', 'mean']);
    expect(report.steps[1]!.after * 15).toBeCloseTo(report.steps[1]!.before, 8);
  });

  it('trades error for fairness along the budgets, and refitting wins error back', async () => {
    const { network } = await trained;
    const editor = new LayerEditor(network, 1, rows, groupIds, 2);
    const measure = (settings: Parameters<LayerEditor['edit']>[0]) =>
      gapMetrics(forwardNetwork(editor.edit(settings).network, test.rows.x, 1000), test.rows.y, test.groupIds, 2);
    const none = gapMetrics(forwardNetwork(network, test.rows.x, 1000), test.rows.y, test.groupIds, 2);
    const [raw, refit, gradient] = (['none', 'least_squares', 'adam'] as const).map((how) =>
      measure({ c1: 15, c2: 150, refit: how }),
    ) as [typeof none, typeof none, typeof none];
    expect(gradient.meanGap).toBeLessThan(0.7 * none.meanGap);
    expect(refit.mse).toBeLessThan(raw.mse);
    expect(gradient.mse).toBeLessThan(raw.mse);
    const same = measure({ c1: 1, c2: 1, refit: 'none' });
    expect(same).toEqual(none);
  });

  it('has a scalar head whose mean gap on the training rows is what was asked for', async () => {
    const { network } = await trained;
    const editor = new LayerEditor(network, 1, rows, groupIds, 2);
    const gap = (net: typeof network) => gapMetrics(forwardNetwork(net, rows.x, 2000), rows.y, groupIds, 2).meanGap;
    expect(gap(editor.scalarHead(0.25))).toBeCloseTo(0.25 * gap(network), 9);
  });

  it('refuses layers that cannot be edited', async () => {
    const { network } = await trained;
    expect(() => new LayerEditor(network, 2, rows, groupIds, 2)).toThrow(/hidden layers are 0 to 1/);
    expect(() => new LayerEditor(network, 1, rows, new Uint8Array(2000), 2)).toThrow(/group 1 has 0 rows/);
  });
});
