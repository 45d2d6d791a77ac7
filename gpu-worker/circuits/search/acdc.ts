/**
 * ACDC (Conmy et al. 2023): from the logits to the input, every edge is taken out for good whose loss changes the metric by less
 * than a threshold.
 */
import type { Circuit } from '../graph/circuit.ts';
import { outside } from './faithfulness.ts';
import type { PerPair, TaskRuns } from './task-runs.ts';

const mean = (values: PerPair): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Edges beyond which a walk, one run of the task for each, would not end in hours. */
export const ACDC_EDGES = 20_000;

/**
 * @param clean mean metric of the clean prompts
 * @returns the circuit, and for each edge that was tried how its loss changed the metric at that time
 */
export async function acdc(
  runs: TaskRuns,
  clean: number,
  threshold: number,
  progress: (done: number, of: number) => void = () => {},
): Promise<{ circuit: Circuit; scores: Float64Array; tried: number }> {
  const { graph } = runs.nodes;
  const circuit: Circuit = new Uint8Array(graph.sources.length * graph.readers.length);
  for (const edge of graph.edges()) {
    circuit[graph.at(edge)] = 1;
  }
  const scores = new Float64Array(circuit.length);
  const gives = (source: number) => graph.readers.some((_, reader) => circuit[graph.at({ source, reader })] === 1);
  let [now, tried, walked] = [clean, 0, 0];
  for (let reader = graph.readers.length - 1; reader >= 0; reader--) {
    const owner = graph.sourceOfReader(reader);
    const alive = owner === null || gives(owner);
    for (let source = graph.sourcesOf(reader) - 1; source >= 0; source--) {
      const at = graph.at({ source, reader });
      walked++;
      circuit[at] = 0;
      // What nothing reads any more has no effect: no run is needed to see it.
      if (!alive) {
        continue;
      }
      const [values] = await runs.changedEdges(1, () => [outside(graph, circuit)]);
      const after = mean(values!);
      tried++;
      scores[at] = after - now;
      if (Math.abs(after - now) < threshold) {
        now = after;
      } else {
        circuit[at] = 1;
      }
      progress(walked, graph.edgeCount);
    }
  }
  return { circuit, scores, tried };
}
