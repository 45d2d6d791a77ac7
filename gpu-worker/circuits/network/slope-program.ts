/**
 * Slopes of a metric by what every reader reads, met with differences of what every source gives: the scores of edge
 * attribution. The heads' shares of the stream are made once for a batch, the readers' slopes layer by layer, and no larger
 * array than these is held.
 */
import * as g from '../../graph/index.ts';
import { headProjection, type PartStreams, storedParameters, type TokenRows, weightValue } from '../../lm/index.ts';
import type { Session } from '../../runtime/index.ts';
import { HEAD_PARTS } from '../graph/node-graph.ts';
import { type Metric, type MetricFeeds, metricInputs, metricOf } from '../tasks/metric.ts';
import { apartFeeds, apartLogits, openApart, ROWS, recordingFeeds } from './apart-graph.ts';
import type { NodeModel } from './node-model.ts';
import { normSlope } from './norm-slope.ts';
import type { Recording } from './recording.ts';
import { SourceOutputs } from './source-outputs.ts';

type Tensor = g.Tensor;

type SlopeRun = {
  ids: TokenRows;
  metric: MetricFeeds;
  /** What each source would give minus what it gives. */
  difference: Recording;
  /** Of each source: how much of its difference is added to it in this run. */
  amounts: Float32Array;
};

export class SlopeProgram {
  readonly #nodes: NodeModel;
  readonly #session: Session;

  private constructor(nodes: NodeModel, session: Session) {
    this.#nodes = nodes;
    this.#session = session;
  }

  static async open(nodes: NodeModel, metric: Metric, threads?: number): Promise<SlopeProgram> {
    const outputs = slopeOutputs(nodes, metric);
    return new SlopeProgram(nodes, await openApart(nodes, outputs, 'slopes', threads));
  }

  /** Adds `factor` times the scores of a run to [rows, sources, readers]; entries that are no edges are of no meaning. */
  async add(run: SlopeRun, factor: number, scores: Float32Array): Promise<void> {
    const { graph } = this.#nodes;
    const [sources, readers] = [graph.sources.length, graph.readers.length];
    const out = await this.#session.run({
      ...apartFeeds(this.#nodes, this.#session, run.ids),
      ...recordingFeeds('difference', run.difference),
      ...run.metric,
      amounts: { shape: [sources], data: run.amounts },
    });
    const place = (name: string, first: number) => {
      const { data, shape } = out[name]!;
      const count = shape[2]!;
      const values = data as Float32Array;
      for (let row = 0; row < run.ids.length * sources; row++) {
        for (let i = 0; i < count; i++) {
          scores[row * readers + first + i]! += factor * values[row * count + i]!;
        }
      }
    };
    for (let layer = 0; layer < graph.layers; layer++) {
      place(`heads.${layer}`, graph.layerReaders(layer));
      place(`mlp.${layer}`, graph.mlpReader(layer));
    }
    place('logits', graph.logits);
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

function slopeOutputs({ model, graph }: NodeModel, metric: Metric): Record<string, Tensor> {
  const { folder } = model;
  const { architecture: a, weights } = folder;
  const { width, heads, layers, headDim } = a;
  const get = storedParameters(folder);
  const amounts = g.input('amounts', [graph.sources.length]);
  const sources = new SourceOutputs(folder, get);
  const embedded = g.input('difference.input', ['batch', 'seq', width]);
  /** A value with a part of its difference added; `from` is the first of its sources. */
  const moved = (x: Tensor, part: string, from: number, count: number): Tensor => {
    const size = x.shape[2] as number;
    const by = part === 'input' ? embedded : g.input(`difference.${part}`, ['batch', 'seq', size]);
    const own = g.reshape(g.slice(amounts, 0, from, from + count), [1, 1, count, 1]);
    const each = g.reshape(by, ['batch', 'seq', count, size / count], by);
    const added = g.reshape(g.mul(each, own), ['batch', 'seq', size], by);
    if (part.startsWith('z')) {
      sources.pushHeads(by, weights.layers[Number(part.slice(2))]!);
    } else {
      sources.push(by);
    }
    return g.add(x, added);
  };
  const streams: { layer: number; stream: Tensor }[] = [];
  const projected = new Map<string, Tensor>();
  const entering: Tensor[] = [];
  const mark = (x: Tensor): Tensor => {
    const marked = g.straightThrough(x, x);
    entering.push(marked);
    return marked;
  };
  const parted: PartStreams = {
    heads(part, layer, stream) {
      if (part === 'q') {
        streams.push({ layer, stream });
      }
      return g.reshape(stream, [1, ROWS, width]);
    },
    mlp: (_, stream) => mark(stream),
    logits: mark,
  };
  const edits = [
    { hook: 'resid_pre.0', edit: (x: Tensor) => moved(x, 'input', 0, 1) },
    ...Array.from({ length: layers }, (_, layer) => [
      { hook: `z.${layer}`, edit: (z: Tensor) => moved(z, `z.${layer}`, graph.head(layer, 0), heads) },
      { hook: `mlp_out.${layer}`, edit: (x: Tensor) => moved(x, `mlp.${layer}`, graph.mlp(layer), 1) },
      ...HEAD_PARTS.map((part) => ({
        hook: `${part}.${layer}`,
        edit: (x: Tensor) => {
          const marked = g.straightThrough(x, x);
          projected.set(`${part}.${layer}`, marked);
          return marked;
        },
      })),
    ]).flat(),
  ];
  const logits = apartLogits(folder, get, parted, edits);
  const wanted = [...projected.values(), ...entering];
  const slopes = new Map(
    g
      .gradients(g.sum(metricOf(metric, logits, metricInputs(metric, a.vocabulary))), wanted)
      .map((slope, i) => [wanted[i]!, slope] as const),
  );
  const all = sources.first(graph.sources.length);
  /** Scores [batch, sources, readers] of slopes [readers, rows, width]. */
  const met = (readers: Tensor, count: number) => {
    const byRow = g.reshape(g.transpose(readers, [1, 0, 2]), ['batch', 'seq', count, width], embedded);
    return g.sum(g.matmul(all, byRow, { transB: true }), 1);
  };
  const outputs: Record<string, Tensor> = {};
  for (const { layer, stream } of streams) {
    const { qkv, attentionNorm } = weights.layers[layer]!;
    const byNormed = HEAD_PARTS.map((part) => {
      const slope = slopes.get(projected.get(`${part}.${layer}`)!)!;
      const byHead = g.transpose(g.reshape(slope, [ROWS, heads, headDim]), [1, 0, 2]);
      return g.matmul(byHead, headProjection(a, qkv, part, (weight) => weightValue(get, weight)).weight);
    });
    const slope = g.concat(byNormed, 0);
    outputs[`heads.${layer}`] = met(attentionNorm ? normSlope(a, attentionNorm, get, stream, slope) : slope, 3 * heads);
  }
  for (const [i, marked] of entering.entries()) {
    outputs[i < layers ? `mlp.${i}` : 'logits'] = met(g.unsqueeze(slopes.get(marked)!, 0), 1);
  }
  return outputs;
}
