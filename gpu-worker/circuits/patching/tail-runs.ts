/**
 * Exact patching of single nodes, many at a time, each from its own layer on: before a patched node nothing differs from the run
 * that is patched. One sweep through the blocks serves all nodes, so that each block's weights are read once.
 */
import { joined } from '../../../shared/math/joined.ts';
import { BlockRunner, readWeight, weightsOfBlock } from '../../lm/index.ts';
import type { HeadProgram } from '../network/head-program.ts';
import type { NodeModel } from '../network/node-model.ts';
import { difference, type Recording } from '../network/recording.ts';
import { TailPrograms } from '../network/tail-programs.ts';

/** Rows of a pass of one block. */
const ROWS = 2048;

type Active = { variant: number; stream: Float32Array };

export class TailRuns {
  readonly #nodes: NodeModel;
  readonly #blocks: BlockRunner;
  readonly #programs: TailPrograms;

  constructor(nodes: NodeModel, threads?: number) {
    this.#nodes = nodes;
    this.#blocks = new BlockRunner(nodes.model.folder, { threads });
    this.#programs = new TailPrograms(nodes, threads);
  }

  /**
   * For each source, logits [rows, vocabulary] of the run of `ids` with it giving what it gives in `reference`.
   * @param own what the sources give in this run; all rows are of one length
   * @param positions [rows * seq]: where sources are patched; null: everywhere
   */
  async run(
    ids: readonly ArrayLike<number>[],
    sources: readonly number[],
    { own, reference, positions }: { own: Recording; reference: Recording; positions: Float32Array | null },
    head: HeadProgram,
    each: (variant: number, logits: Float32Array) => void,
  ): Promise<void> {
    const { graph, model } = this.#nodes;
    const { folder, architecture: a } = model;
    const { batch, seq } = own;
    const by = difference(reference, own);
    const shared = await this.#streams(ids);
    const marked = (values: Float32Array) =>
      positions ? values.map((value, i) => value * positions[Math.floor(i / a.width) % positions.length]!) : values;
    const wanted = new Map(sources.map((source, variant) => [source, variant]));
    const active: Active[] = [];
    const plus = (stream: Float32Array, change: Float32Array) => stream.map((value, i) => value + change[i]!);
    if (wanted.has(0)) {
      active.push({ variant: wanted.get(0)!, stream: plus(shared.before[0]!, marked(by.input)) });
    }
    for (let layer = 0; layer < graph.layers; layer++) {
      const weights = new Map(weightsOfBlock(folder, layer).map(({ name }) => [name, readWeight(folder, name)]));
      await this.#advance(layer, active, { batch, seq }, weights);
      const heads = Array.from({ length: graph.heads }, (_, i) => graph.head(layer, i)).filter((one) =>
        wanted.has(one),
      );
      if (heads.length > 0) {
        const shares = await this.#programs.heads(layer, by.z[layer]!, weights);
        const size = batch * seq * a.width;
        const from = a.parallel ? shared.after[layer]! : shared.middle[layer]!;
        const streams = heads.map((source) => {
          const at = source - graph.head(layer, 0);
          return plus(from, marked(shares.subarray(at * size, (at + 1) * size)));
        });
        const behind = a.parallel ? streams : await this.#behindMlp(layer, streams, { batch, seq }, weights);
        active.push(...heads.map((source, i) => ({ variant: wanted.get(source)!, stream: behind[i]! })));
      }
      const mlp = wanted.get(graph.mlp(layer));
      if (mlp !== undefined) {
        active.push({ variant: mlp, stream: plus(shared.after[layer]!, marked(by.mlp[layer]!)) });
      }
    }
    for (const { variant, stream } of active) {
      const last = new Float32Array(batch * a.width);
      for (let row = 0; row < batch; row++) {
        const at = ((row + 1) * seq - 1) * a.width;
        last.set(stream.subarray(at, at + a.width), row * a.width);
      }
      each(variant, await head.logits(last));
    }
  }

  async release(): Promise<void> {
    await this.#blocks.release();
    await this.#programs.release();
  }

  /** The streams of the run that is patched: before each block, between its halves and behind it. */
  async #streams(ids: readonly ArrayLike<number>[]) {
    const { model, graph } = this.#nodes;
    const each = (kind: string) => Array.from({ length: graph.layers }, (_, layer) => `${kind}.${layer}`);
    const middle = model.architecture.parallel ? [] : each('resid_mid');
    const taps = ['resid_pre.0', ...middle, ...each('resid_post')];
    const found = (await model.forward({ ids, taps, logits: 'none' })).taps;
    const of = (hooks: readonly string[]) => hooks.map((hook) => found[hook]!.data);
    return { before: of(['resid_pre.0']), middle: of(middle), after: of(each('resid_post')) };
  }

  /** Every active stream through a block. */
  async #advance(
    layer: number,
    active: Active[],
    sizes: { batch: number; seq: number },
    weights: ReadonlyMap<string, Float32Array>,
  ): Promise<void> {
    for (const group of this.#groups(active, sizes)) {
      const data = joined(group.map(({ stream }) => stream));
      const passed = await this.#blocks.pass(
        layer,
        { batch: group.length * sizes.batch, seq: sizes.seq, data },
        weights,
        { inputs: [], output: true },
      );
      const size = data.length / group.length;
      for (const [i, one] of group.entries()) {
        one.stream = passed.output!.subarray(i * size, (i + 1) * size);
      }
    }
  }

  async #behindMlp(
    layer: number,
    streams: readonly Float32Array[],
    sizes: { batch: number; seq: number },
    weights: ReadonlyMap<string, Float32Array>,
  ): Promise<Float32Array[]> {
    const found: Float32Array[] = [];
    for (const group of this.#groups(streams, sizes)) {
      const data = joined(group);
      const out = await this.#programs.mlp(layer, data, { batch: group.length * sizes.batch, seq: sizes.seq }, weights);
      const size = data.length / group.length;
      found.push(...group.map((_, i) => out.subarray(i * size, (i + 1) * size)));
    }
    return found;
  }

  #groups<T>(items: readonly T[], { batch, seq }: { batch: number; seq: number }): T[][] {
    const count = Math.max(1, Math.floor(ROWS / (batch * seq)));
    return Array.from({ length: Math.ceil(items.length / count) }, (_, i) => items.slice(i * count, (i + 1) * count));
  }
}
