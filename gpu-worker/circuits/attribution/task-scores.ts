/** Edge attribution over a whole task. */
import type { TaskRuns } from '../search/task-runs.ts';
import { type Attribution, EdgeAttribution } from './edge-attribution.ts';

type TaskScores = {
  /** Mean over pairs, [sources, readers]. */
  scores: Float64Array;
  /** [sources][pairs]: the sum over a source's edges, which is the first-order effect of the source. */
  sources: Float64Array[];
};

/** @param progress called with the pairs of every batch that is finished */
export async function attributeTask(
  runs: TaskRuns,
  attribution: Attribution,
  { threads, progress = () => {} }: { threads?: number | undefined; progress?: (pairs: number) => void } = {},
): Promise<TaskScores> {
  const { graph } = runs.nodes;
  const edges = [...graph.edges()];
  const size = graph.sources.length * graph.readers.length;
  const scores = new Float64Array(size);
  const sources = graph.sources.map(() => new Float64Array(runs.pairs.length));
  const program = await EdgeAttribution.open(runs.nodes, runs.metric, threads);
  try {
    for (const { pairs, at } of runs.batches) {
      const found = await program.scores(pairs, attribution);
      for (const [row, pair] of at.entries()) {
        for (const edge of edges) {
          const score = found[row * size + graph.at(edge)]!;
          scores[graph.at(edge)]! += score / runs.pairs.length;
          sources[edge.source]![pair]! += score;
        }
      }
      progress(pairs.length);
    }
  } finally {
    await program.release();
  }
  return { scores, sources };
}
