/** The planted circuit by every method that scores edges: what each finds, and what the first-order ones miss. */
import { attributeTask } from '../../../gpu-worker/circuits/attribution/task-scores.ts';
import { nodeModel, TaskRuns } from '../../../gpu-worker/circuits/index.ts';
import { acdc } from '../../../gpu-worker/circuits/search/acdc.ts';
import { exactEdges } from '../../../gpu-worker/circuits/search/find-circuit.ts';
import { loadModel } from '../../../gpu-worker/lm/index.ts';
import { LARGER, PLANTED, plantedCircuit, plantedEdges, plantedPairs } from '../../support/planted-circuit.ts';

export type PlantedFound = { size: string; method: string; precision: number; recall: number; missed: string[] };

/** By their largest scores as many edges as were planted; by ACDC those it keeps at a tenth of the metric. */
export async function plantedStudy(threads: number): Promise<PlantedFound[]> {
  const found: PlantedFound[] = [];
  for (const planting of [PLANTED, LARGER]) {
    const { folder, remove } = plantedCircuit(planting);
    const model = await loadModel(folder, { threads, spinning: false });
    const pairs = plantedPairs(planting, 16, 1);
    const settings = { metric: 'logit_difference', ablation: 'patch', batch: 16, positions: null, threads } as const;
    const runs = new TaskRuns({ ...settings, nodes: nodeModel(model), pairs });
    const { graph } = runs.nodes;
    const edges = [...graph.edges()];
    const truth = new Set(plantedEdges(planting));
    const { clean } = await runs.plain();
    const F = clean.reduce((sum, value) => sum + value, 0) / clean.length;
    const note = (method: string, names: readonly string[]) => {
      const right = names.filter((name) => truth.has(name)).length;
      found.push({
        size: `${planting.layers} x ${planting.heads} heads, ${edges.length} edges`,
        method,
        precision: right / names.length,
        recall: right / truth.size,
        missed: [...truth].filter((name) => !names.includes(name)),
      });
    };
    const largest = (scores: ArrayLike<number>) =>
      [...edges]
        .sort((a, b) => Math.abs(scores[graph.at(b)]!) - Math.abs(scores[graph.at(a)]!))
        .slice(0, truth.size)
        .map((edge) => graph.name(edge));
    note('exact patching', largest(await exactEdges(runs, clean)));
    const { circuit } = await acdc(runs, F, 0.1 * F);
    note(
      'ACDC',
      edges.filter((edge) => circuit[graph.at(edge)]).map((edge) => graph.name(edge)),
    );
    const eap = await attributeTask(runs, { kind: 'eap' }, { threads });
    note('EAP', largest(eap.scores));
    for (const between of ['inputs', 'activations'] as const) {
      const { scores } = await attributeTask(runs, { kind: 'eap_ig', steps: 5, between }, { threads });
      note(`EAP-IG, 5 steps over ${between}`, largest(scores));
    }
    await runs.release();
    await model.release();
    remove();
  }
  return found;
}
