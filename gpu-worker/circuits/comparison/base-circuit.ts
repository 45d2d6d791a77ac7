/** The circuits of checkpoints beside that of the base, and a circuit beside one that was found earlier. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Interval } from '../../../shared/math/resample.ts';
import { attributeTask } from '../attribution/task-scores.ts';
import { type Circuit, edgeCount, emptyCircuit, graphDocument, nodesOf, selectEdges } from '../graph/circuit.ts';
import type { NodeGraph } from '../graph/node-graph.ts';
import { faithfulness, outside } from '../search/faithfulness.ts';
import type { TaskRuns } from '../search/task-runs.ts';
import { jaccard } from './correlation.ts';

/** How much two circuits share. */
type Shared = { edge_jaccard: number; node_jaccard: number };

export type CheckpointCircuit = Shared & {
  circuit: Circuit;
  scores: Float64Array;
  edges: number;
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
  const none = emptyCircuit(graph);
  const variants = [circuit, known, none];
  const [own, ofBase, empty] = await runs.changedEdges(3, () => variants.map((one) => outside(graph, one)));
  const { clean } = await runs.plain();
  return {
    circuit,
    scores,
    edges: edgeCount(circuit),
    ...shared(graph, circuit, known),
    own: faithfulness(own!, clean, empty!, seed).normalized,
    of_base: faithfulness(ofBase!, clean, empty!, seed).normalized,
  };
}

function shared(graph: NodeGraph, circuit: Circuit, base: Circuit): Shared {
  const taken = (set: Circuit) =>
    [...graph.edges()].filter((edge) => set[graph.at(edge)] === 1).map((edge) => graph.at(edge));
  return {
    edge_jaccard: jaccard(taken(circuit), taken(base)),
    node_jaccard: jaccard(nodesOf(graph, circuit), nodesOf(graph, base)),
  };
}

export type BesideBase = Shared & {
  /** Edges of the base alone, and of the circuit alone. */
  vanished: number;
  appeared: number;
  /** Of the base's circuit in this model; null where the model does as little as with no edge. */
  faithfulness: Interval | null;
};

/** A circuit of this task beside one that was found earlier, in the model that `runs` runs. */
export async function besideBase(runs: TaskRuns, circuit: Circuit, base: Circuit, seed: number): Promise<BesideBase> {
  const { graph } = runs.nodes;
  const variants = [base, emptyCircuit(graph)];
  const [ofBase, empty] = await runs.changedEdges(2, () => variants.map((one) => outside(graph, one)));
  const { clean } = await runs.plain();
  const without = (one: Circuit, other: Circuit) => one.filter((has, at) => has === 1 && other[at] !== 1).length;
  return {
    ...shared(graph, circuit, base),
    vanished: without(base, circuit),
    appeared: without(circuit, base),
    faithfulness: faithfulness(ofBase!, clean, empty!, seed).normalized,
  };
}

/**
 * The circuit of a document that `graphDocument` wrote.
 * @throws SextantError `data_invalid` where it is of a model of another shape
 */
export function circuitOfDocument(graph: NodeGraph, document: ReturnType<typeof graphDocument>): Circuit {
  const circuit = emptyCircuit(graph);
  const own = graphDocument(graph, circuit, circuit);
  const [theirs, ours] = [document, own].map(({ cfg }) => JSON.stringify(cfg));
  if (theirs !== ours) {
    throw new SextantError('data_invalid', `that circuit is of a model of ${theirs}, this one is of ${ours}`);
  }
  for (const edge of graph.edges()) {
    circuit[graph.at(edge)] = document.edges[graph.name(edge)]?.in_graph ? 1 : 0;
  }
  return circuit;
}
