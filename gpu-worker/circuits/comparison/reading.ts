/** What a study reads of one checkpoint. */
import { type LanguageModel, loadModel, readWeight } from '../../lm/index.ts';
import { nodeModel } from '../network/node-model.ts';
import { record } from '../network/recording.ts';
import { directAttribution, finalStreams } from '../patching/direct-effect.ts';
import { type PerPair, TaskRuns, type TaskSettings } from '../search/task-runs.ts';
import type { Pair } from '../tasks/pair.ts';

export type ReadingSettings = {
  /** Held-out pairs. */
  pairs: readonly Pair[];
  effects: 'direct' | 'exact';
  task: Pick<TaskSettings, 'metric' | 'ablation' | 'batch' | 'positions'>;
  /** Mean loss on text that has nothing to do with the task, nats per token; null where there is none. */
  unrelated: ((model: LanguageModel) => Promise<number>) | null;
  threads?: number;
};

export type Reading = {
  /** The metric of each pair. */
  metric: PerPair;
  corrupted: PerPair;
  accuracy: number;
  pairwise: number;
  unrelated: number | null;
  /** Of every head in order of layers: change of the metric of each pair, [heads][pairs]. */
  effects: PerPair[];
  /** What each head adds to the logit difference, mean over pairs. */
  attribution: number[];
};

/** Every head of a model, layer by layer. */
export const headsOf = ({ architecture: { layers, heads } }: LanguageModel): { layer: number; head: number }[] =>
  Array.from({ length: layers }, (_, layer) => Array.from({ length: heads }, (_, head) => ({ layer, head }))).flat();

export async function readCheckpoint(folder: string, settings: ReadingSettings): Promise<Reading> {
  const model = await loadModel(folder, {
    spinning: false,
    ...(settings.threads !== undefined && { threads: settings.threads }),
  });
  try {
    const nodes = nodeModel(model);
    const { graph } = nodes;
    const runs = new TaskRuns({
      ...settings.task,
      nodes,
      pairs: settings.pairs,
      ...(settings.threads !== undefined && { threads: settings.threads }),
    });
    const sources = headsOf(model).map(({ layer, head }) => graph.head(layer, head));
    try {
      const plain = await runs.plain();
      const values =
        settings.effects === 'direct'
          ? await runs.pathsTo(sources, [graph.logits], 'frozen')
          : await runs.patchedSources(sources);
      return {
        metric: plain.clean,
        corrupted: plain.corrupted,
        accuracy: plain.accuracy,
        pairwise: plain.pairwise,
        unrelated: settings.unrelated && (await settings.unrelated(model)),
        effects: values.map((own) => own.map((value, pair) => value - plain.clean[pair]!)),
        attribution: await attributions(runs, sources),
      };
    } finally {
      await runs.release();
    }
  } finally {
    await model.release();
  }
}

async function attributions(runs: TaskRuns, sources: readonly number[]): Promise<number[]> {
  const { nodes } = runs;
  const count = nodes.graph.sources.length;
  const sums = sources.map(() => 0);
  for (const { pairs } of runs.batches) {
    const ids = pairs.map(({ clean }) => clean);
    const { recording } = await record(nodes, ids);
    const found = directAttribution(nodes, recording, await finalStreams(nodes, ids), pairs);
    for (let row = 0; row < pairs.length; row++) {
      for (const [i, source] of sources.entries()) {
        sums[i]! += found.sources[row * count + source]! / runs.pairs.length;
      }
    }
  }
  return sums;
}

/** How far the weights of two models of one shape are apart: all of them, and by weight. */
export function weightDistance(a: LanguageModel, b: LanguageModel): { whole: number; weights: Record<string, number> } {
  const weights: Record<string, number> = {};
  let total = 0;
  for (const name of a.folder.stored.keys()) {
    const [x, y] = [readWeight(a.folder, name), readWeight(b.folder, name)];
    const sum = x.reduce((far, value, i) => far + (value - y[i]!) ** 2, 0);
    weights[name] = Math.sqrt(sum);
    total += sum;
  }
  return { whole: Math.sqrt(total), weights };
}
