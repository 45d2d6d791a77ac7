/** The circuits of checkpoints beside that of the base. */
import type { Interval } from '../../../shared/math/resample.ts';
import { attributeTask } from '../attribution/task-scores.ts';
import { type Circuit, edgeCount, nodesOf, selectEdges } from '../graph/circuit.ts';
import { faithfulness, outside } from '../search/faithfulness.ts';
import type { TaskRuns } from '../search/task-runs.ts';
import { jaccard } from './correlation.ts';

export type CheckpointCircuit = {
  circuit: Circuit;
  scores: Float64Array;
  edges: number;
  /** With the base's circuit. */
  edge_jaccard: number;
  node_jaccard: number;
  /** Of the checkpoint's own circuit, and of the base's in this checkpoint; null where the model does as little as with no edge. */
  own: Interval | null;
  of_base: Interval | null;
};

/** The circuit of a checkpoint by integrated gradients, with as many edges as asked for. */
export async function checkpointCircuit(
  runs: TaskRuns,
  edges: number,
  base: Circuit | null,
  seed: number,
  threads?: number,
): Promise<CheckpointCircuit> {
  const { graph } = runs.nodes;
  const { scores } = await attributeTask(runs, { kind: 'eap_ig', steps: 5, between: 'inputs' }, { threads });
  const circuit = selectEdges(graph, scores, { kind: 'top', edges }, true);
  const known = base ?? circuit;
  const none = new Uint8Array(circuit.length);
  const variants = [circuit, known, none];
  const [own, ofBase, empty] = await runs.changedEdges(3, () => variants.map((one) => outside(graph, one)));
  const { clean } = await runs.plain();
  const taken = (set: Circuit) =>
    [...graph.edges()].filter((edge) => set[graph.at(edge)] === 1).map((edge) => graph.at(edge));
  return {
    circuit,
    scores,
    edges: edgeCount(circuit),
    edge_jaccard: jaccard(taken(circuit), taken(known)),
    node_jaccard: jaccard(nodesOf(graph, circuit), nodesOf(graph, known)),
    own: faithfulness(own!, clean, empty!, seed).normalized,
    of_base: faithfulness(ofBase!, clean, empty!, seed).normalized,
  };
}
