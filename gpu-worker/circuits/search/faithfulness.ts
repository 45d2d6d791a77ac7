/** How much of what a model does a circuit does alone: by its size, with intervals over pairs. */
import { stream } from '../../../shared/math/random.ts';
import type { Interval } from '../../../shared/math/resample.ts';
import { bootstrapOverUnits } from '../../study/index.ts';
import { type Circuit, edgeCount, nodesOf, selectEdges, withoutNodes } from '../graph/circuit.ts';
import type { NodeGraph } from '../graph/node-graph.ts';
import type { PerPair, TaskRuns } from './task-runs.ts';

const CURVE_SHARES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1] as const;

/** What edges outside a circuit take of the ablation. */
export function outside(graph: NodeGraph, circuit: Circuit): Float32Array {
  const share = new Float32Array(circuit.length);
  for (const edge of graph.edges()) {
    share[graph.at(edge)] = 1 - circuit[graph.at(edge)]!;
  }
  return share;
}

export type Faithfulness = {
  /** Mean metric of the circuit alone. */
  metric: number;
  /** (F(C) - F(empty)) / (F(M) - F(empty)), where every edge of `empty` is ablated; null where the two do not differ. */
  normalized: Interval | null;
  /** |F(M) - F(C)|. */
  gap: number;
};

const mean = (values: PerPair): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** @param whole, empty the model, and the model with every edge ablated */
export function faithfulness(circuit: PerPair, whole: PerPair, empty: PerPair, seed: number): Faithfulness {
  const sums = new Float64Array(circuit.length * 3);
  for (let i = 0; i < circuit.length; i++) {
    sums.set([circuit[i]!, whole[i]!, empty[i]!], i * 3);
  }
  const spread = Math.abs(mean(whole) - mean(empty));
  const intervals =
    spread < 1e-9
      ? null
      : bootstrapOverUnits({
          sums,
          parts: 3,
          size: 1,
          measures: ([own, all, none], out) => {
            out[0] = (own! - none!) / (all! - none!);
          },
          random: stream(seed, 'circuits/faithfulness'),
        });
  return {
    metric: mean(circuit),
    normalized: intervals?.[0] ?? null,
    gap: Math.abs(mean(whole) - mean(circuit)),
  };
}

type CurvePoint = Faithfulness & { share: number; edges: number };
export type Curve = {
  points: CurvePoint[];
  /** Area under the normalized faithfulness over the share of edges: high where small circuits do the task. */
  area: number | null;
  /** Area between it and 1: zero where every circuit is the model. */
  distance: number | null;
};

/** @param scores [sources, readers] */
export async function faithfulnessCurve(
  runs: TaskRuns,
  scores: ArrayLike<number>,
  { whole, empty, absolute, seed }: { whole: PerPair; empty: PerPair; absolute: boolean; seed: number },
  progress?: (done: number) => void,
): Promise<Curve> {
  const { graph } = runs.nodes;
  const circuits = CURVE_SHARES.map((share) => {
    const edges = Math.max(1, Math.round(share * graph.edgeCount));
    return selectEdges(graph, scores, { kind: 'top', edges }, absolute);
  });
  const values = await runs.changedEdges(
    circuits.length,
    () => circuits.map((circuit) => outside(graph, circuit)),
    progress,
  );
  const points = circuits.map((circuit, i) => ({
    share: CURVE_SHARES[i]!,
    edges: edgeCount(circuit),
    ...faithfulness(values[i]!, whole, empty, seed),
  }));
  const heights = points.map(({ normalized }) => normalized?.estimate ?? null);
  const area = (of: (height: number) => number): number | null => {
    if (heights.some((height) => height === null)) {
      return null;
    }
    return points
      .slice(1)
      .reduce(
        (sum, { share }, i) => sum + ((share - points[i]!.share) * (of(heights[i]!) + of(heights[i + 1]!))) / 2,
        0,
      );
  };
  return { points, area: area((height) => height), distance: area((height) => Math.abs(1 - height)) };
}

/** Sets that are tried for completeness. */
const RANDOM_SETS = 8;
/** Minimality is computed of circuits up to so many nodes. */
const MOST_NODES = 64;

export type CircuitChecks = {
  /** |F(M without K) - F(C without K)| for random halves K of the circuit's nodes, and for its worst single node. */
  completeness: { random: number[]; worst: { node: string; gap: number } | null };
  /** |F(C without v) - F(C)| / |F(M)| for each node v; null for circuits of too many nodes. */
  minimality: { node: string; score: number }[] | null;
};

export async function checkCircuit(
  runs: TaskRuns,
  circuit: Circuit,
  whole: PerPair,
  seed: number,
  progress?: (done: number) => void,
): Promise<CircuitChecks> {
  const { graph } = runs.nodes;
  const all = new Uint8Array(circuit.length).fill(1);
  const nodes = nodesOf(graph, circuit).filter((source) => source > 0);
  const random = stream(seed, 'circuits/completeness');
  const sets =
    nodes.length < 2
      ? []
      : Array.from({ length: RANDOM_SETS }, (_, i) =>
          Array.from(random.derive(i).subset(nodes.length, Math.ceil(nodes.length / 2)), (at) => nodes[at]!),
        );
  const single = nodes.length <= MOST_NODES ? nodes.map((node) => [node]) : [];
  const taken = [...sets, ...single].map((set) => new Set(set));
  const variants = [
    circuit,
    ...taken.flatMap((set) => [withoutNodes(graph, all, set), withoutNodes(graph, circuit, set)]),
  ];
  const values = await runs.changedEdges(
    variants.length,
    () => variants.map((variant) => outside(graph, variant)),
    progress,
  );
  const own = mean(values[0]!);
  const gaps = taken.map((_, i) => Math.abs(mean(values[1 + 2 * i]!) - mean(values[2 + 2 * i]!)));
  const singles = gaps.slice(sets.length);
  const worst = singles.reduce((best, gap, i) => (gap > singles[best]! ? i : best), 0);
  const size = Math.abs(mean(whole));
  return {
    completeness: {
      random: gaps.slice(0, sets.length),
      worst: singles.length > 0 ? { node: graph.sources[nodes[worst]!]!, gap: singles[worst]! } : null,
    },
    minimality:
      single.length > 0 && size > 0
        ? nodes.map((node, i) => ({
            node: graph.sources[node]!,
            score: Math.abs(mean(values[2 + 2 * (sets.length + i)]!) - own) / size,
          }))
        : null,
  };
}
