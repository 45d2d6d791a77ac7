/** Pictures of circuits. */
import { chart } from '../../../shared/plots/chart.ts';
import { heatMap } from '../../../shared/plots/heat-map.ts';
import { type GraphEdge, layeredGraph } from '../../../shared/plots/layered-graph.ts';
import type { Circuit } from '../graph/circuit.ts';
import type { Edge, NodeGraph } from '../graph/node-graph.ts';
import type { Curve } from '../search/faithfulness.ts';

export type Plot = { name: string; svg: string };

/** A value for each head, and in the last column for the MLP: by layer from the first. */
export function nodeMap(
  graph: NodeGraph,
  name: string,
  spec: { title: string; note: string; value: string; range?: readonly [number, number] },
  at: (source: number) => number | null,
): Plot {
  const each = (count: number) => Array.from({ length: count }, (_, i) => String(i));
  return {
    name,
    svg: heatMap({
      ...spec,
      columns: { label: 'head, and the MLP', names: [...each(graph.heads), 'MLP'] },
      rows: { label: 'layer', names: each(graph.layers) },
      values: Array.from({ length: graph.layers }, (_, layer) =>
        Array.from({ length: graph.heads + 1 }, (_, column) => at(graph.head(layer, column))),
      ),
    }),
  };
}

export const curvePlot = (curve: Curve, ablation: string): Plot => ({
  name: 'faithfulness',
  svg: chart({
    title: 'Faithfulness by size of the circuit',
    note: `other edges ablated by ${ablation}; 95 % intervals over pairs`,
    x: { label: 'share of all edges', scale: 'log' },
    y: { label: 'normalized faithfulness' },
    series: [
      {
        as: 'line',
        name: 'circuit',
        points: curve.points.flatMap(({ share, normalized }) =>
          normalized ? [{ x: share, y: normalized.estimate, low: normalized.low, high: normalized.high }] : [],
        ),
      },
    ],
    rules: [{ along: 'y', at: 1, name: 'the whole model' }],
  }),
});

/** Edges that a drawing can show; the largest are drawn. */
const MOST_EDGES = 120;

/** The circuit as a layered graph; with a base, what is kept of it, what appeared and what vanished. */
export function circuitPlot(
  graph: NodeGraph,
  name: string,
  circuit: Circuit,
  scores: ArrayLike<number> | null,
  base: Circuit | null = null,
): Plot {
  const weight = (edge: Edge) => scores?.[graph.at(edge)] ?? 1;
  const shown = [...graph.edges()]
    .filter((edge) => circuit[graph.at(edge)] === 1 || base?.[graph.at(edge)] === 1)
    .sort((a, b) => Math.abs(weight(b)) - Math.abs(weight(a)));
  const drawn = shown.slice(0, MOST_EDGES);
  const sourceOf = (reader: number) => graph.sourceOfReader(reader);
  const nameOfReader = (reader: number) => {
    const source = sourceOf(reader);
    return source === null ? 'logits' : graph.sources[source]!;
  };
  const looks = base
    ? [{ name: 'kept' }, { name: 'appeared' }, { name: 'vanished', dashed: true }]
    : [{ name: 'edge' }];
  const edges = drawn.map((edge): GraphEdge => {
    const [now, before] = [circuit[graph.at(edge)] === 1, base === null || base[graph.at(edge)] === 1];
    return {
      from: graph.sources[edge.source]!,
      to: nameOfReader(edge.reader),
      weight: weight(edge),
      look: now && before ? 0 : now ? 1 : 2,
      title: `${graph.name(edge)}: ${weight(edge).toPrecision(3)}`,
    };
  });
  const used = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const layers = [
    { name: '', nodes: ['input'] },
    ...Array.from({ length: graph.layers }, (_, layer) => [
      {
        name: `a${layer}`,
        nodes: Array.from({ length: graph.heads }, (_, head) => `a${layer}.h${head}`).filter((node) => used.has(node)),
      },
      { name: `m${layer}`, nodes: used.has(`m${layer}`) ? [`m${layer}`] : [] },
    ]).flat(),
    { name: '', nodes: ['logits'] },
  ].filter(({ nodes }) => nodes.length > 0);
  return {
    name,
    svg: layeredGraph({
      title: 'The circuit',
      note:
        `${drawn.length < shown.length ? `the ${drawn.length} strongest of ${shown.length}` : `${shown.length}`} edges, thickness by score; ` +
        'a head may be reached through its queries, keys and values at once',
      layers,
      edges,
      looks,
    }),
  };
}
