/**
 * First-order scores of all edges: EAP, and EAP-IG, whose slopes are means over runs between the corrupted prompts and the
 * clean ones. Positive: corrupting the edge raises the metric.
 */

import type { NodeModel } from '../network/node-model.ts';
import { difference, record } from '../network/recording.ts';
import { SlopeProgram } from '../network/slope-program.ts';
import { type Metric, metricFeeds } from '../tasks/metric.ts';
import type { Pair } from '../tasks/pair.ts';

export type Attribution =
  | { kind: 'eap' }
  /** `inputs`: the embeddings move, in `steps` equal steps from the corrupted prompts; `activations`: each layer's outputs in turn. */
  | { kind: 'eap_ig'; steps: number; between: 'inputs' | 'activations' };

/** A compiled program of a model and a metric. */
export class EdgeAttribution {
  readonly #nodes: NodeModel;
  readonly #metric: Metric;
  readonly #program: SlopeProgram;

  private constructor(nodes: NodeModel, metric: Metric, program: SlopeProgram) {
    this.#nodes = nodes;
    this.#metric = metric;
    this.#program = program;
  }

  static async open(nodes: NodeModel, metric: Metric, threads?: number): Promise<EdgeAttribution> {
    return new EdgeAttribution(nodes, metric, await SlopeProgram.open(nodes, metric, threads));
  }

  /** Scores [pairs, sources, readers] of pairs of one length. */
  async scores(pairs: readonly Pair[], attribution: Attribution): Promise<Float32Array> {
    const { graph, model } = this.#nodes;
    const [sources, readers] = [graph.sources.length, graph.readers.length];
    const ids = pairs.map(({ clean }) => clean);
    const clean = await record(this.#nodes, ids);
    const corrupted = await record(
      this.#nodes,
      pairs.map(({ corrupted }) => corrupted),
    );
    const run = {
      ids,
      metric: metricFeeds(this.#metric, pairs, model.architecture.vocabulary, clean.logits),
      difference: difference(corrupted.recording, clean.recording),
    };
    const scores = new Float32Array(pairs.length * sources * readers);
    const amounts = (of: readonly number[], amount: number) => {
      const all = new Float32Array(sources);
      for (const source of of) {
        all[source] = amount;
      }
      return all;
    };
    if (attribution.kind === 'eap') {
      await this.#program.add({ ...run, amounts: amounts([], 0) }, 1, scores);
      return scores;
    }
    const { steps, between } = attribution;
    if (between === 'inputs') {
      for (let step = 0; step < steps; step++) {
        await this.#program.add({ ...run, amounts: amounts([0], 1 - step / steps) }, 1 / steps, scores);
      }
      return scores;
    }
    // The sources that move together are scored by the slopes along their own way.
    for (const moving of layersOf(graph)) {
      const own = new Float32Array(scores.length);
      for (let step = 0; step < steps; step++) {
        await this.#program.add({ ...run, amounts: amounts(moving, 1 - step / steps) }, 1 / steps, own);
      }
      for (let pair = 0; pair < pairs.length; pair++) {
        for (const source of moving) {
          const at = (pair * sources + source) * readers;
          scores.set(own.subarray(at, at + readers), at);
        }
      }
    }
    return scores;
  }

  release(): Promise<void> {
    return this.#program.release();
  }
}

/** Sources that are computed side by side: the input, the heads of a layer, an MLP. */
function layersOf(graph: NodeModel['graph']): number[][] {
  const found = [[0]];
  for (let layer = 0; layer < graph.layers; layer++) {
    found.push(
      Array.from({ length: graph.heads }, (_, head) => graph.head(layer, head)),
      [graph.mlp(layer)],
    );
  }
  return found;
}
