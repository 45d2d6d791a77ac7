/** Fair regression by reshaping singular values against its baselines, on one table over many seeds. */

import { pick, pickRows, type Rows, splitRows, strataOf } from '../../../gpu-worker/fairness/rows.ts';
import { type GapMetrics, gapMetrics } from '../../../gpu-worker/fairness/spectral/gap-metrics.ts';
import { LayerEditor } from '../../../gpu-worker/fairness/spectral/layer-editing.ts';
import { trainNetwork } from '../../../gpu-worker/fairness/spectral/network-training.ts';
import { applyBarycentre, fitBarycentre } from '../../../shared/fairness/barycentre.ts';
import { type DenseNetwork, forwardNetwork } from '../../../shared/fairness/predictors/network.ts';
import { logisticRegression } from '../../../shared/math/logistic.ts';
import { type Row, summarise } from './spread.ts';
import type { Prepared } from './tables.ts';

const metrics = ({ mse, ks, w1, meanGap }: GapMetrics): Record<string, number> => ({
  MSE: mse,
  KS: ks,
  W1: w1,
  'mean gap': meanGap,
});

/** One seed: train, correct in every way, measure on the test rows. */
async function seedRun({ rows, group }: Prepared, seed: number): Promise<Map<string, Record<string, number>>> {
  const parts = splitRows(strataOf(group.groupIds, rows.y), [0.7, 0.15, 0.15], seed);
  const [train, , test] = parts.map((part) => ({
    rows: pickRows(rows, part),
    groupIds: Int32Array.from(pick(group.groupIds, part)),
  })) as [Part, Part, Part];
  const { network } = await trainNetwork(train.rows, { seed, threads: 1 });
  const groups = group.levels.length;
  const out = new Map<string, Record<string, number>>();
  const measure = (method: string, values: Float64Array): void => {
    out.set(method, metrics(gapMetrics(values, test.rows.y, test.groupIds, groups)));
  };
  const editor = new LayerEditor(network, network.length - 2, train.rows, train.groupIds, groups);
  const entering = editor.enter(test.rows);
  const scores = (net: DenseNetwork): Float64Array => editor.scores(net, entering);
  const fitted = forwardNetwork(network, train.rows.x, train.rows.y.length);
  const plain = scores(network);
  measure('none', plain);
  const edit = (method: string, c1: number, c2: number, refit: 'least_squares' | 'adam' | 'none' = 'adam'): void =>
    measure(method, scores(editor.edit({ c1, c2, refit }).network));
  edit('both steps, c1 = 1.5, c2 = 150', 1.5, 150);
  edit('both steps, c1 = 5, c2 = 150', 5, 150);
  edit('both steps, c1 = 15, c2 = 150', 15, 150);
  edit('both steps, c1 = 50, c2 = 150', 50, 150);
  edit('mean only, c1 = 15', 15, 1);
  edit('covariance only, c2 = 150', 1, 150);
  edit('both steps, c1 = 15, c2 = 150, no refit', 15, 150, 'none');
  edit('both steps, c1 = 15, c2 = 150, refit by least squares', 15, 150, 'least_squares');
  measure('scalar head, tau = 0.25', scores(editor.scalarHead(0.25)));
  measure('scalar head, tau = 0', scores(editor.scalarHead(0)));
  const map = fitBarycentre(fitted, train.groupIds, groups);
  measure('barycentre, true group', applyBarycentre(map, plain, test.groupIds));
  measure('barycentre, predicted group', applyBarycentre(map, plain, predictedGroups(train, test.rows)));
  return out;
}
type Part = { rows: Rows; groupIds: Int32Array };

/** Groups predicted from the features by logistic regression, for two groups. */
function predictedGroups(train: Part, { x, d }: Rows): Int32Array {
  const weights = logisticRegression(train.rows.x, train.groupIds, d, { l2: 1e-3 });
  return Int32Array.from({ length: x.length / d }, (_, i) => {
    let a = weights[d]!;
    for (let j = 0; j < d; j++) {
      a += weights[j]! * x[i * d + j]!;
    }
    return Number(a > 0);
  });
}

/**
 * Test means over `seeds` splits, from 33 as in the released experiments. `save` is given what there is after every seed, so
 * that a run that is stopped leaves a result that says how many seeds it had.
 */
export async function singularValueStudy(
  prepared: Prepared,
  seeds: number,
  save: (rows: Row[], done: number) => void,
): Promise<Row[]> {
  const runs: Map<string, Record<string, number>>[] = [];
  for (let seed = 33; seed < 33 + seeds; seed++) {
    runs.push(await seedRun(prepared, seed));
    save(summarise(runs), runs.length);
  }
  return summarise(runs);
}
