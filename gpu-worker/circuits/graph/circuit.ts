/** A circuit: a set of edges, chosen by their scores. */
import type { Edge, NodeGraph } from './node-graph.ts';

/** 1 at the edges of the circuit, in an array [sources, readers]. */
export type Circuit = Uint8Array;

export type Selection =
  /** The edges with the highest scores. */
  | { kind: 'top'; edges: number }
  /** From the logits up: always the highest edge into what is there already. */
  | { kind: 'greedy'; edges: number }
  | { kind: 'threshold'; score: number };

export const emptyCircuit = (graph: NodeGraph): Circuit => new Uint8Array(graph.sources.length * graph.readers.length);

/**
 * @param absolute by the size of a score, or by how much corrupting the edge lowers the metric
 */
export function selectEdges(
  graph: NodeGraph,
  scores: ArrayLike<number>,
  selection: Selection,
  absolute: boolean,
): Circuit {
  const weight = (edge: Edge) => {
    const score = scores[graph.at(edge)]!;
    return absolute ? Math.abs(score) : -score;
  };
  const circuit = emptyCircuit(graph);
  const ranked = (edges: Iterable<Edge>) =>
    [...edges].sort((a, b) => weight(b) - weight(a) || graph.at(a) - graph.at(b));
  if (selection.kind === 'greedy') {
    greedy(graph, circuit, selection.edges, weight);
    return pruned(graph, circuit);
  }
  const chosen =
    selection.kind === 'top'
      ? ranked(graph.edges()).slice(0, selection.edges)
      : [...graph.edges()].filter((edge) => weight(edge) >= selection.score);
  for (const edge of chosen) {
    circuit[graph.at(edge)] = 1;
  }
  return pruned(graph, circuit);
}

function greedy(graph: NodeGraph, circuit: Circuit, edges: number, weight: (edge: Edge) => number): void {
  const reached = new Set<number>();
  const into = (reader: number): Edge[] =>
    Array.from({ length: graph.sourcesOf(reader) }, (_, source) => ({ source, reader }));
  const open = into(graph.logits);
  for (let taken = 0; taken < edges && open.length > 0; taken++) {
    let best = 0;
    for (let i = 1; i < open.length; i++) {
      if (weight(open[i]!) > weight(open[best]!)) {
        best = i;
      }
    }
    const [edge] = open.splice(best, 1);
    circuit[graph.at(edge!)] = 1;
    if (!reached.has(edge!.source)) {
      reached.add(edge!.source);
      open.push(...graph.readersOfSource(edge!.source).flatMap(into));
    }
  }
}

/** Without edges that nothing reaches from the input, or that reach no logits. */
export function pruned(graph: NodeGraph, circuit: Circuit): Circuit {
  const kept = Uint8Array.from(circuit);
  for (let changed = true; changed; ) {
    changed = false;
    for (let source = 1; source < graph.sources.length; source++) {
      const reads = graph
        .readersOfSource(source)
        .some((reader) => someEdge(graph, kept, (from) => ({ source: from, reader }), graph.sourcesOf(reader)));
      const gives = someEdge(graph, kept, (reader) => ({ source, reader }), graph.readers.length);
      if (reads !== gives) {
        changed = true;
        for (let reader = 0; reader < graph.readers.length; reader++) {
          kept[graph.at({ source, reader })] = 0;
        }
        for (const reader of graph.readersOfSource(source)) {
          for (let from = 0; from < graph.sourcesOf(reader); from++) {
            kept[graph.at({ source: from, reader })] = 0;
          }
        }
      }
    }
  }
  return kept;
}

function someEdge(graph: NodeGraph, circuit: Circuit, edge: (i: number) => Edge, count: number): boolean {
  for (let i = 0; i < count; i++) {
    if (circuit[graph.at(edge(i))] === 1) {
      return true;
    }
  }
  return false;
}

export const edgeCount = (circuit: Circuit): number => circuit.reduce((sum, value) => sum + value, 0);

/** Sources that give something to the circuit. */
export const nodesOf = (graph: NodeGraph, circuit: Circuit): number[] =>
  graph.sources.flatMap((_, source) =>
    someEdge(graph, circuit, (reader) => ({ source, reader }), graph.readers.length) ? [source] : [],
  );

/** All edges between some sources, and from them to the logits. */
export function circuitOfNodes(graph: NodeGraph, sources: ReadonlySet<number>): Circuit {
  const circuit = emptyCircuit(graph);
  for (const edge of graph.edges()) {
    const owner = graph.sourceOfReader(edge.reader);
    if (sources.has(edge.source) && (owner === null || sources.has(owner))) {
      circuit[graph.at(edge)] = 1;
    }
  }
  return circuit;
}

/** The circuit without some of its nodes: without every edge from or to them. */
export function withoutNodes(graph: NodeGraph, circuit: Circuit, without: ReadonlySet<number>): Circuit {
  const left = Uint8Array.from(circuit);
  for (const edge of graph.edges()) {
    const owner = graph.sourceOfReader(edge.reader);
    if (without.has(edge.source) || (owner !== null && without.has(owner))) {
      left[graph.at(edge)] = 0;
    }
  }
  return left;
}

type GraphDocument = {
  cfg: { n_layers: number; n_heads: number; parallel_attn_mlp: boolean; d_model: number };
  nodes: Record<string, { in_graph: boolean }>;
  edges: Record<string, { score: number; in_graph: boolean }>;
};

/** The graph as EAP-IG's loader reads it. */
export function graphDocument(graph: NodeGraph, scores: ArrayLike<number>, circuit: Circuit): GraphDocument {
  const nodes = new Set(nodesOf(graph, circuit));
  return {
    cfg: { n_layers: graph.layers, n_heads: graph.heads, parallel_attn_mlp: graph.parallel, d_model: graph.width },
    nodes: Object.fromEntries([
      ...graph.sources.map((name, source) => [name, { in_graph: nodes.has(source) }]),
      ['logits', { in_graph: true }],
    ]),
    edges: Object.fromEntries(
      [...graph.edges()].map((edge) => [
        graph.name(edge),
        { score: scores[graph.at(edge)]!, in_graph: circuit[graph.at(edge)] === 1 },
      ]),
    ),
  };
}
