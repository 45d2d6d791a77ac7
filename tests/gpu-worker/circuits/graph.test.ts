import { expect, it } from 'vitest';
import {
  circuitOfNodes,
  edgeCount,
  graphDocument,
  nodesOf,
  pruned,
  selectEdges,
  withoutNodes,
} from '../../../gpu-worker/circuits/graph/circuit.ts';
import { NodeGraph } from '../../../gpu-worker/circuits/graph/node-graph.ts';

const graph = new NodeGraph({ layers: 2, heads: 2, width: 8, parallel: false });
const circuit = (...names: string[]) => {
  const made = new Uint8Array(graph.sources.length * graph.readers.length);
  for (const name of names) {
    made[graph.at(graph.edge(name))] = 1;
  }
  return made;
};
const named = (edges: Uint8Array) =>
  [...graph.edges()].filter((edge) => edges[graph.at(edge)]).map((e) => graph.name(e));

it('counts edges as the reference does', () => {
  expect(new NodeGraph({ layers: 12, heads: 12, width: 768, parallel: false }).edgeCount).toBe(32491);
  const parallel = new NodeGraph({ layers: 2, heads: 2, width: 8, parallel: true });
  expect(graph.edgeCount - parallel.edgeCount).toBe(4);
  expect(() => parallel.edge('a0.h1->m0')).toThrow(/'a0.h1' comes after 'm0'/);
  expect(() => graph.edge('m1->a1.h0<q>')).toThrow(/comes after/);
  expect(() => graph.edge('a2.h0->logits')).toThrow(/no source 'a2.h0'/);
});

it('has owners and readers that belong together', () => {
  for (let source = 0; source < graph.sources.length; source++) {
    for (const reader of graph.readersOfSource(source)) {
      expect(graph.sourceOfReader(reader)).toBe(source);
      expect(graph.readers[reader]!.startsWith(graph.sources[source]!)).toBe(true);
    }
  }
});

it('prunes what nothing reaches and what reaches nothing', () => {
  const dead = circuit('input->a0.h0<q>', 'a0.h0->m1', 'input->logits', 'a1.h1->logits', 'm0->a1.h1<k>');
  expect(named(pruned(graph, dead))).toEqual(['input->logits']);
  const alive = circuit('input->a0.h0<q>', 'a0.h0->m1', 'm1->logits');
  expect(named(pruned(graph, alive))).toEqual(named(alive));
});

it('selects by size, by sign, by a threshold, and greedily from the logits', () => {
  const scores = new Float64Array(graph.sources.length * graph.readers.length);
  const set = (name: string, score: number) => {
    scores[graph.at(graph.edge(name))] = score;
  };
  set('input->logits', -1);
  set('m0->logits', 3);
  set('input->m0', 0.5);
  set('input->a1.h0<q>', -9);
  const top = (edges: number, absolute: boolean) => named(selectEdges(graph, scores, { kind: 'top', edges }, absolute));
  expect(top(4, true)).toEqual(['input->m0', 'input->logits', 'm0->logits']);
  expect(top(2, false)).toEqual(['input->logits']);
  expect(named(selectEdges(graph, scores, { kind: 'threshold', score: 0.6 }, true))).toEqual(['input->logits']);
  expect(named(selectEdges(graph, scores, { kind: 'greedy', edges: 3 }, true))).toEqual([
    'input->m0',
    'input->logits',
    'm0->logits',
  ]);
});

it('makes and takes apart circuits of nodes', () => {
  const nodes = [0, graph.source('a0.h1'), graph.source('m1')];
  const made = circuitOfNodes(graph, new Set(nodes));
  expect(nodesOf(graph, made)).toEqual(nodes);
  expect(edgeCount(made)).toBe(3 + 2 + 3);
  expect(nodesOf(graph, withoutNodes(graph, made, new Set([graph.source('m1')])))).toEqual(nodes.slice(0, 2));
});

it('writes a document with every node and edge by name', () => {
  const document = graphDocument(
    graph,
    new Float64Array(graph.sources.length * graph.readers.length),
    circuit('input->logits'),
  );
  expect(document).toMatchObject({
    cfg: { n_layers: 2, n_heads: 2, parallel_attn_mlp: false, d_model: 8 },
    nodes: { input: { in_graph: true }, 'a0.h0': { in_graph: false }, logits: { in_graph: true } },
    edges: { 'input->logits': { score: 0, in_graph: true }, 'm0->a1.h1<v>': { in_graph: false } },
  });
  expect(Object.keys(document.edges as object)).toHaveLength(graph.edgeCount);
});
