/** From a task to a circuit: scores by a chosen method, a selection, and how faithful it is. */
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { Interval } from '../../../shared/math/resample.ts';
import { bootstrapOverUnits } from '../../study/index.ts';
import type { Attribution } from '../attribution/edge-attribution.ts';
import { attributeTask } from '../attribution/task-scores.ts';
import {
  type Circuit,
  circuitOfNodes,
  edgeCount,
  nodesOf,
  pruned,
  type Selection,
  selectEdges,
} from '../graph/circuit.ts';
import { ACDC_EDGES, acdc } from './acdc.ts';
import {
  type CircuitChecks,
  type Curve,
  checkCircuit,
  type Faithfulness,
  faithfulness,
  faithfulnessCurve,
  outside,
} from './faithfulness.ts';
import { type NodeEffect, nodeEffects } from './node-effects.ts';
import type { PerPair, TaskRuns } from './task-runs.ts';

export type Method =
  | { kind: 'exact'; level: 'nodes' | 'edges'; direction: 'corrupt' | 'restore' }
  | { kind: 'path'; mlps: 'frozen' | 'recomputed'; receivers: readonly string[] }
  | { kind: 'direct' }
  | Attribution
  | { kind: 'acdc'; threshold: number };

type FindSettings = {
  method: Method;
  selection: Selection;
  /** By the size of scores, or by how much corrupting lowers the metric. */
  absolute: boolean;
  /** Whether the curve over sizes is computed. */
  curve: boolean;
  seed: number;
  threads?: number;
};

type TaskFigures = {
  pairs: number;
  /** Mean metric of clean and of corrupted prompts, with intervals over pairs. */
  clean: Interval;
  corrupted: Interval;
  accuracy: number;
  pairwise_accuracy: number;
};

export type FoundCircuit = {
  task: TaskFigures;
  /** Effects of corrupting single nodes, or their first-order estimates; of path patching, along the path. */
  effects: NodeEffect[] | null;
  /** Mean scores [sources, readers]; null where the method gives nodes alone. */
  scores: Float64Array | null;
  circuit: Circuit;
  edges: number;
  nodes: string[];
  faithfulness: Faithfulness;
  checks: CircuitChecks;
  curve: Curve | null;
};

/** Runs of single edges beyond which exact patching would not end in hours. */
const EXACT_EDGES = 50_000;

type FindProgress = (stage: string, done: number, of: number) => void;

/**
 * @throws SextantError `data_invalid` where the model does not do the task: the mean metric is within two standard errors of
 *   zero, so that whatever carried it would be noise
 */
export async function findCircuit(
  runs: TaskRuns,
  settings: FindSettings,
  progress: FindProgress = () => {},
): Promise<FoundCircuit> {
  const { graph } = runs.nodes;
  const { seed } = settings;
  const plain = await runs.plain();
  const task = taskFigures(plain, seed);
  requireTask(runs, plain.clean);
  const found = await scored(runs, settings, plain, progress);
  const ablated = await emptied(runs);
  const [own] = await runs.changedEdges(1, () => [outside(graph, found.circuit)]);
  progress('checking', 0, 1);
  const checks = await checkCircuit(runs, found.circuit, plain.clean, seed);
  const curve =
    settings.curve && found.scores
      ? await faithfulnessCurve(runs, found.scores, {
          whole: plain.clean,
          empty: ablated,
          absolute: settings.absolute,
          seed,
        })
      : null;
  progress('checking', 1, 1);
  return {
    task,
    ...found,
    edges: edgeCount(found.circuit),
    nodes: nodesOf(graph, found.circuit).map((source) => graph.sources[source]!),
    faithfulness: faithfulness(own!, plain.clean, ablated, seed),
    checks,
    curve,
  };
}

/** The metric with every edge ablated. */
async function emptied(runs: TaskRuns): Promise<PerPair> {
  const { graph } = runs.nodes;
  const none = new Uint8Array(graph.sources.length * graph.readers.length);
  const [values] = await runs.changedEdges(1, () => [outside(graph, none)]);
  return values!;
}

function taskFigures(
  plain: { clean: PerPair; corrupted: PerPair; accuracy: number; pairwise: number },
  seed: number,
): TaskFigures {
  const interval = (values: PerPair, name: string): Interval => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const drawn = bootstrapOverUnits({
      sums: values,
      parts: 1,
      size: 1,
      measures: ([sum], out) => {
        out[0] = sum! / values.length;
      },
      random: stream(seed, `circuits/${name}`),
    });
    return drawn?.[0] ?? { estimate: mean, low: mean, high: mean, error: 0 };
  };
  return {
    pairs: plain.clean.length,
    clean: interval(plain.clean, 'clean'),
    corrupted: interval(plain.corrupted, 'corrupted'),
    accuracy: plain.accuracy,
    pairwise_accuracy: plain.pairwise,
  };
}

/** @throws SextantError `data_invalid` with the figures and examples */
function requireTask(runs: TaskRuns, clean: PerPair): void {
  if (runs.metric === 'kl') {
    return;
  }
  const pairs = clean.length;
  const mean = clean.reduce((sum, value) => sum + value, 0) / pairs;
  const error = Math.sqrt(clean.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, pairs - 1) / pairs);
  if (Math.abs(mean) > 2 * error) {
    return;
  }
  const wrong = [...clean.entries()].filter(([, value]) => value <= 0);
  const examples = wrong.slice(0, 3).map(([pair, value]) => `pair ${pair}: ${value.toFixed(3)}`);
  throw paramError(
    'data_invalid',
    '/task',
    `the model does not do this task: its mean metric over ${pairs} pairs is ${mean.toFixed(3)} with a standard error of ` +
      `${error.toFixed(3)}, which is within two of zero; ${wrong.length} pairs are not above zero (${examples.join('; ')})`,
  );
}

type Scored = Pick<FoundCircuit, 'effects' | 'scores' | 'circuit'>;

async function scored(
  runs: TaskRuns,
  { method, selection, absolute, seed, threads }: FindSettings,
  { clean, corrupted }: { clean: PerPair; corrupted: PerPair },
  progress: FindProgress,
): Promise<Scored> {
  const { graph } = runs.nodes;
  const pairs = runs.pairs.length;
  let done = 0;
  const counted = (more: number) => {
    done += more;
    progress('scoring', done, pairs);
  };
  const byNodes = (sources: readonly number[], values: readonly PerPair[], plain = clean): Scored => {
    const effects = nodeEffects(
      sources.map((source) => graph.sources[source]!),
      values,
      plain,
      seed,
    );
    return { effects, scores: null, circuit: selectNodes(runs, sources, effects, selection, absolute) };
  };
  switch (method.kind) {
    case 'eap':
    case 'eap_ig': {
      if (runs.metric === 'kl' && method.kind === 'eap') {
        throw paramError('data_invalid', '/metric', 'the divergence from the clean run has no slope there: use eap_ig');
      }
      const { scores, sources } = await attributeTask(runs, method, { threads, progress: counted });
      const effects = nodeEffects(graph.sources, sources, null, seed);
      return { effects, scores, circuit: selectEdges(graph, scores, selection, absolute) };
    }
    case 'exact': {
      if (method.level === 'nodes') {
        const sources = graph.sources.map((_, source) => source);
        const values = await runs.patchedSources(sources, method.direction, counted);
        return byNodes(sources, values, method.direction === 'corrupt' ? clean : corrupted);
      }
      const scores = await exactEdges(runs, clean, counted);
      return { effects: null, scores, circuit: selectEdges(graph, scores, selection, absolute) };
    }
    case 'direct':
    case 'path': {
      const readers = method.kind === 'direct' ? [graph.logits] : method.receivers.map((name) => graph.reader(name));
      const least = Math.max(...readers.map((reader) => graph.sourcesOf(reader)));
      const sources = graph.sources.flatMap((_, source) => (source < least ? [source] : []));
      const mlps = method.kind === 'direct' ? 'frozen' : method.mlps;
      return byNodes(sources, await runs.pathsTo(sources, readers, mlps, counted));
    }
    case 'acdc': {
      if (graph.edgeCount > ACDC_EDGES) {
        throw new SextantError(
          'data_invalid',
          `ACDC runs the task once for each of ${graph.edgeCount} edges; above ${ACDC_EDGES} use eap_ig`,
        );
      }
      const mean = clean.reduce((sum, value) => sum + value, 0) / pairs;
      const { circuit, scores } = await acdc(runs, mean, method.threshold, (walked, of) =>
        progress('scoring', walked, of),
      );
      return { effects: null, scores, circuit: pruned(graph, circuit) };
    }
    default:
      return method satisfies never;
  }
}

/** Of every edge: the mean metric with it corrupted minus that of the clean prompts. */
export async function exactEdges(
  runs: TaskRuns,
  clean: PerPair,
  progress?: (pairs: number) => void,
): Promise<Float64Array> {
  const { graph } = runs.nodes;
  const edges = [...graph.edges()];
  if (edges.length > EXACT_EDGES) {
    throw new SextantError(
      'data_invalid',
      `exact patching runs the task once for each of ${edges.length} edges; above ${EXACT_EDGES} use eap_ig`,
    );
  }
  const size = graph.sources.length * graph.readers.length;
  const one = function* () {
    for (const edge of edges) {
      const share = new Float32Array(size);
      share[graph.at(edge)] = 1;
      yield share;
    }
  };
  const values = await runs.changedEdges(edges.length, one, progress);
  const scores = new Float64Array(size);
  for (const [i, edge] of edges.entries()) {
    scores[graph.at(edge)] = values[i]!.reduce((sum, value, pair) => sum + value - clean[pair]!, 0) / clean.length;
  }
  return scores;
}

/** The edges between the nodes with the highest effects; a selection's `edges` then counts nodes. */
function selectNodes(
  runs: TaskRuns,
  sources: readonly number[],
  effects: readonly NodeEffect[],
  selection: Selection,
  absolute: boolean,
): Circuit {
  const { graph } = runs.nodes;
  const weight = (i: number) => (absolute ? Math.abs(effects[i]!.effect) : -effects[i]!.effect);
  const order = sources.map((_, i) => i).sort((a, b) => weight(b) - weight(a));
  const chosen =
    selection.kind === 'threshold'
      ? order.filter((i) => weight(i) >= selection.score)
      : order.slice(0, selection.edges);
  return circuitOfNodes(graph, new Set([0, ...chosen.map((i) => sources[i]!)]));
}
