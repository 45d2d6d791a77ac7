/** Runs in which chosen edges carry what their source gave in another run. */
import * as g from '../../graph/index.ts';
import { type PartStreams, storedParameters, type TokenRows } from '../../lm/index.ts';
import type { Session } from '../../runtime/index.ts';
import { HEAD_PARTS } from '../graph/node-graph.ts';
import { apartFeeds, apartLogits, openApart, ROWS, recordingFeeds } from './apart-graph.ts';
import type { NodeModel } from './node-model.ts';
import type { Recording } from './recording.ts';
import { SourceOutputs } from './source-outputs.ts';

type Tensor = g.Tensor;

type EdgeRun = {
  /** [rows, seq] ids as rows, as many as the program was made for. */
  ids: TokenRows;
  /** What the sources of changed edges give. */
  reference: Recording;
  /** Of each row: the row of `reference` that belongs to it. */
  pairs: readonly number[];
  /** [rows, sources, readers]: how much of an edge is the reference's: 1, or 0 for what its source gives here. */
  share: Float32Array;
  /** [rows * seq]; at positions that are 0 every edge is left alone. All count where it is not given. */
  positions?: Float32Array | null;
};

/** One compiled program of a model. */
export class EdgeProgram {
  readonly #nodes: NodeModel;
  readonly #session: Session;

  private constructor(nodes: NodeModel, session: Session) {
    this.#nodes = nodes;
    this.#session = session;
  }

  static async open(nodes: NodeModel, threads?: number): Promise<EdgeProgram> {
    return new EdgeProgram(nodes, await openApart(nodes, { logits: edgeLogits(nodes) }, 'edges', threads));
  }

  /** Logits [rows * vocabulary] at each row's last position. */
  async run({ ids, reference, pairs, share, positions }: EdgeRun): Promise<Float32Array> {
    const { graph } = this.#nodes;
    const [rows, { seq }] = [ids.length, reference];
    const out = await this.#session.run({
      ...apartFeeds(this.#nodes, this.#session, ids),
      ...recordingFeeds('reference', reference),
      pairs: { shape: [rows], data: BigInt64Array.from(pairs, BigInt) },
      share: { shape: [rows, graph.sources.length, graph.readers.length], data: share },
      marked: { shape: [rows, seq, 1], data: positions ?? new Float32Array(rows * seq).fill(1) },
    });
    return out.logits!.data as Float32Array;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

function edgeLogits({ model, graph }: NodeModel): Tensor {
  const { folder } = model;
  const { width, heads, headDim } = folder.architecture;
  const share = g.input('share', ['batch', graph.sources.length, graph.readers.length]);
  const pairs = g.input('pairs', ['batch'], 'int64');
  const reference = (part: string, size: number) =>
    g.gather(g.input(`reference.${part}`, ['recorded', 'seq', size]), pairs);
  const get = storedParameters(folder);
  const changes = new SourceOutputs(folder, get, g.input('marked', ['batch', 'seq', 1]));
  /** What readers `from` to `to` of equal sources read beside the stream: [readers, rows, width]. */
  const change = (from: number, to: number): Tensor => {
    const count = graph.sourcesOf(from);
    const own = g.slice(g.slice(share, 1, 0, count), 2, from, to);
    const made = g.matmul(g.reshape(own, ['batch', 1, count, to - from]), changes.first(count), { transA: true });
    return g.transpose(g.reshape(made, [ROWS, to - from, width]), [1, 0, 2]);
  };
  const changed = (reader: number, stream: Tensor) =>
    g.add(stream, g.reshape(change(reader, reader + 1), [ROWS, width]));
  // The three parts of a layer's heads read the same sources, so their changes are one product.
  const byLayer = new Map<number, Tensor>();
  const ofLayer = (layer: number): Tensor => {
    const from = graph.layerReaders(layer);
    const known = byLayer.get(layer) ?? change(from, from + 3 * heads);
    byLayer.set(layer, known);
    return known;
  };
  const record = (hook: string, push: (x: Tensor) => void) => ({
    hook,
    edit: (x: Tensor) => {
      push(x);
      return x;
    },
  });
  const edits = [
    record('resid_pre.0', (x) => changes.push(g.sub(reference('input', width), x))),
    ...folder.weights.layers.flatMap((weights, layer) => [
      record(`z.${layer}`, (z) => changes.pushHeads(g.sub(reference(`z.${layer}`, heads * headDim), z), weights)),
      record(`mlp_out.${layer}`, (x) => changes.push(g.sub(reference(`mlp.${layer}`, width), x))),
    ]),
  ];
  const streams: PartStreams = {
    heads(part, layer, stream) {
      const at = HEAD_PARTS.indexOf(part) * heads;
      return g.add(g.reshape(stream, [1, ROWS, width]), g.slice(ofLayer(layer), 0, at, at + heads));
    },
    mlp: (layer, stream) => changed(graph.mlpReader(layer), stream),
    logits: (stream) => changed(graph.logits, stream),
  };
  return apartLogits(folder, get, streams, edits);
}
