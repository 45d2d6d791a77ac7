import { expect, it, onTestFinished } from 'vitest';
import { nodeModel } from '../../../gpu-worker/circuits/network/node-model.ts';
import { acdc } from '../../../gpu-worker/circuits/search/acdc.ts';
import { exactEdges } from '../../../gpu-worker/circuits/search/find-circuit.ts';
import { TaskRuns } from '../../../gpu-worker/circuits/search/task-runs.ts';
import { loadModel } from '../../../gpu-worker/lm/index.ts';
import {
  LARGER,
  PLANTED,
  type Planting,
  plantedCircuit,
  plantedEdges,
  plantedPairs,
} from '../../support/planted-circuit.ts';

const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

async function openPlanted(planting: Planting): Promise<TaskRuns> {
  const { folder, remove } = plantedCircuit(planting);
  const model = await loadModel(folder, { threads: 1 });
  const pairs = plantedPairs(planting, 16, 1);
  const settings = { metric: 'logit_difference', ablation: 'patch', batch: 16, positions: null, threads: 1 } as const;
  const runs = new TaskRuns({ ...settings, nodes: nodeModel(model), pairs });
  onTestFinished(async () => {
    await runs.release();
    await model.release();
    remove();
  });
  return runs;
}

it.each([
  ['as it is', PLANTED],
  ['in a larger model', LARGER],
])('is found by exact and path patching and by ACDC, %s', async (_, planting) => {
  const runs = await openPlanted(planting);
  const { graph } = runs.nodes;
  const truth = plantedEdges(planting).sort();
  const plain = await runs.plain();
  const F = mean(plain.clean);
  expect(F).toBeGreaterThan(2);
  expect(plain.accuracy).toBe(1);

  // The attention that the heads were given.
  const [layer, head] = planting.induction;
  const { taps } = await runs.nodes.model.forward({
    ids: [runs.pairs[0]!.clean],
    taps: [`attn_pattern.${layer}`],
    logits: 'none',
  });
  const size = planting.length;
  const row = taps[`attn_pattern.${layer}`]!.data.subarray((head * size + size - 1) * size, (head + 1) * size * size);
  expect(Math.max(...row)).toBeGreaterThan(0.85);
  expect(Math.max(...row)).toBeLessThan(0.95);

  const exact = await exactEdges(runs, plain.clean);
  const strong = [...graph.edges()].filter((edge) => Math.abs(exact[graph.at(edge)]!) > 0.1 * F);
  expect(strong.map((edge) => graph.name(edge)).sort()).toEqual(truth);

  const { circuit } = await acdc(runs, F, 0.1 * F);
  expect(
    [...graph.edges()]
      .filter((edge) => circuit[graph.at(edge)])
      .map((edge) => graph.name(edge))
      .sort(),
  ).toEqual(truth);

  const named = (sources: readonly number[], values: readonly Float64Array[]) =>
    sources.filter((_, i) => Math.abs(mean(values[i]!) - F) > 0.1 * F).map((source) => graph.sources[source]);
  const all = graph.sources.map((_, source) => source);
  const [previous, induction, gate] = [
    `a${planting.previous.join('.h')}`,
    `a${planting.induction.join('.h')}`,
    `m${planting.gate}`,
  ];
  expect(named(all, await runs.patchedSources(all))).toEqual(['input', previous, induction, gate]);
  expect(named(all, await runs.pathsTo(all, [graph.logits], 'frozen'))).toEqual([gate]);
  expect(named(all, await runs.pathsTo(all, [graph.logits], 'recomputed'))).toEqual([induction, gate]);
  const before = all.filter((source) => source < graph.head(planting.induction[0], 0));
  expect(named(before, await runs.pathsTo(before, [graph.reader(`${induction}<k>`)], 'recomputed'))).toEqual([
    previous,
  ]);
});
