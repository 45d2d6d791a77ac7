/**
 * A model block by block: one block's weights are fed, not compiled in, so that they can be changed between two passes and
 * only one block is in memory. Rows of a pass are of one length; nothing is padded.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Linear, Weight } from '../../../shared/models/architecture.ts';
import { listHooks } from '../../../shared/models/hooks.ts';
import * as g from '../../graph/index.ts';
import { type FeedValue, passing, Session } from '../../runtime/index.ts';
import { named } from '../named.ts';
import { fusedFits } from '../network/fused-attention.ts';
import { Grid } from '../network/grid.ts';
import { TappedHookPoints } from '../network/hook-points.ts';
import { lookUp, norm, type Parameters } from '../network/layers.ts';
import { block, headLogits } from '../network/transformer.ts';
import type { ModelFolder } from '../weights/folder.ts';
import { makeBatch, positionsOf, ShapeFeeds } from './batch.ts';
import { hooksOf, notFiniteIn } from './finite.ts';
import { maskName, rotaryInputs, storedParameters } from './programs.ts';

/** Stream of `batch` rows of `seq` positions: [batch * seq, width]. */
export type BlockStream = { batch: number; seq: number; data: Float32Array };

type BlockPass = {
  /** The stream that leaves the block; null where it was not asked for. */
  output: Float32Array | null;
  /** What went into linear layers, by the name of the weight; layers that share an input share an array. */
  inputs: Map<string, Float32Array>;
};

type Built = { outputs: Record<string, g.Tensor>; taps: ReadonlyMap<string, string> };
type Opened = { session: Session; taps: ReadonlyMap<string, string> };

/** Every weight of a block. */
export function weightsOfBlock(folder: ModelFolder, layer: number): Weight[] {
  const found = new Map<string, Weight>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) {
      return;
    }
    const weight = value as Partial<Weight>;
    if (typeof weight.name === 'string' && Array.isArray(weight.shape)) {
      found.set(weight.name, weight as Weight);
    } else {
      for (const child of Object.values(value)) {
        visit(child);
      }
    }
  };
  visit(folder.weights.layers[layer]);
  return [...found.values()];
}

export class BlockRunner {
  readonly folder: ModelFolder;
  readonly #options: { threads?: number | undefined };
  readonly #shapes: ShapeFeeds;
  readonly #sessions = new Map<string, Promise<Opened>>();

  constructor(folder: ModelFolder, options: { threads?: number | undefined } = {}) {
    this.folder = folder;
    this.#options = options;
    this.#shapes = new ShapeFeeds(folder.architecture);
  }

  /** The streams that enter the first block, one a pass; the embedding is in memory no longer than that. @throws SextantError as `makeBatch` */
  async embed(passes: readonly (readonly ArrayLike<number>[])[]): Promise<BlockStream[]> {
    const { architecture: a, weights } = this.folder;
    const { session } = await this.#create(() => {
      const ids = g.input('ids', ['batch', 'seq'], 'int64');
      const positions = g.input('positions', ['batch', 'seq'], 'int64');
      const grid = new Grid(ids);
      const get = storedParameters(this.folder);
      let stream = grid.join(lookUp(get, weights.embedding, ids), a.width);
      if (a.embeddingScale !== 1) {
        stream = g.mul(stream, a.embeddingScale);
      }
      if (weights.positions) {
        stream = g.add(stream, grid.join(lookUp(get, weights.positions, positions), a.width));
      }
      return { outputs: { stream }, taps: new Map() };
    });
    try {
      const streams: BlockStream[] = [];
      for (const rows of passes) {
        const batch = makeBatch(a, rows);
        const shape = [batch.batch, batch.seq];
        const feeds: Record<string, FeedValue> = { ids: { shape, data: batch.ids } };
        if (weights.positions) {
          feeds.positions = { shape, data: positionsOf(batch.starts, batch.seq) };
        }
        const out = await session.run(feeds);
        streams.push({ batch: batch.batch, seq: batch.seq, data: named(out, 'stream').data as Float32Array });
      }
      return streams;
    } finally {
      await session.release();
    }
  }

  /**
   * A stream through block `layer`.
   * @param values the block's weights by name
   * @param want inputs of these linear layers (by the names of their weights), and whether the block's output
   */
  async pass(
    layer: number,
    stream: BlockStream,
    values: ReadonlyMap<string, Float32Array>,
    want: { inputs: readonly string[]; output: boolean },
  ): Promise<BlockPass> {
    const { architecture: a } = this.folder;
    const names = weightsOfBlock(this.folder, layer);
    const at = (name: string) => `w${names.findIndex((weight) => weight.name === name)}`;
    const wanted = want.inputs.map(at);
    const fused = fusedFits(a.headDim);
    // Blocks that compute alike share a program.
    const kind = [
      a.windows[layer],
      a.attentionScale[layer],
      a.turned[layer],
      names.map(({ shape }) => shape.join('x')),
    ];
    const { session, taps } = await this.#session(JSON.stringify([kind, wanted, want.output]), () =>
      this.#compile(layer, names, wanted, want.output, fused),
    );
    const { batch, seq, data } = stream;
    const feeds: Record<string, FeedValue> = {
      like: { shape: [batch, seq], data: new BigInt64Array(batch * seq) },
      stream: { shape: [batch * seq, a.width], data },
      positions: { shape: [batch, seq], data: positionsOf(new Array<number>(batch).fill(0), seq) },
      ...this.#shapes.rotary(seq),
      ...(fused
        ? {
            last: { shape: [batch], data: new Int32Array(batch).fill(seq - 1) },
            total: { shape: [], data: Int32Array.of(seq) },
          }
        : this.#shapes.causal(seq)),
    };
    for (const [i, { name, shape }] of names.entries()) {
      feeds[`w${i}`] = { shape, data: named(values, name) };
    }
    const out = await session.run(usedOf(session, feeds));
    passing(Object.values(out).reduce((sum, value) => sum + value.data.byteLength, 0));
    const output = want.output ? (out.output!.data as Float32Array) : null;
    const bad = output && notFiniteIn(output);
    if (typeof bad === 'number') {
      throw await this.#notFinite(layer, names, fused, feeds);
    }
    return {
      output,
      inputs: new Map(want.inputs.map((name) => [name, out[taps.get(at(name))!]!.data as Float32Array])),
    };
  }

  /** The error about a block whose output holds a value that is no number, naming the hook point at which the first appears. */
  async #notFinite(
    layer: number,
    names: readonly Weight[],
    fused: boolean,
    feeds: Readonly<Record<string, FeedValue>>,
  ): Promise<SextantError> {
    const { architecture } = this.folder;
    const hooks = hooksOf({ architecture, hooks: listHooks(architecture) }, layer);
    const { session } = await this.#create(() => this.#compile(layer, names, [], true, fused, hooks));
    try {
      const out = await session.run(usedOf(session, feeds));
      const place = hooks.find((hook) => out[hook] && notFiniteIn(out[hook].data as Float32Array) !== undefined);
      return new SextantError(
        'not_finite',
        `a value that is no number at '${place ?? `resid_post.${layer}`}', in layer ${layer}, which is the first hook point with one`,
      );
    } finally {
      await session.release();
    }
  }

  /** Losses, in nats, of predicting `labels` [rows] from rows [rows, width] of the stream that left the last block. */
  async losses(rows: Float32Array, labels: BigInt64Array): Promise<Float32Array> {
    const { architecture: a, weights } = this.folder;
    const { session } = await this.#session('losses', () => {
      const get = storedParameters(this.folder);
      const final = norm(a, weights.finalNorm, get, g.input('stream', ['rows', a.width]));
      const logits = headLogits(a, weights, get, final);
      return {
        outputs: { losses: g.crossEntropyRows(logits, g.input('labels', ['rows'], 'int64')) },
        taps: new Map(),
      };
    });
    const count = labels.length;
    const out = await session.run({
      stream: { shape: [count, a.width], data: rows },
      labels: { shape: [count], data: labels },
    });
    return named(out, 'losses').data as Float32Array;
  }

  async release(): Promise<void> {
    for (const made of this.#sessions.values()) {
      await (await made).session.release();
    }
    this.#sessions.clear();
  }

  #session(key: string, build: () => Built): Promise<Opened> {
    let made = this.#sessions.get(key);
    if (!made) {
      made = this.#create(build);
      this.#sessions.set(key, made);
    }
    return made;
  }

  async #create(build: () => Built): Promise<Opened> {
    const { outputs, taps } = build();
    const { threads } = this.#options;
    const session = await Session.create(g.compile(outputs, { name: 'block' }), {
      ...(threads !== undefined && { threads }),
      spinning: false,
      weightsFolder: this.folder.weightsPath,
      flushDenormals: true,
      // Every pass has many rows: a packed copy of the head, and memory kept for the next pass, would cost more than they give.
      prepacking: false,
      arena: false,
    });
    return { session, taps };
  }

  #compile(
    layer: number,
    names: readonly Weight[],
    wanted: readonly string[],
    output: boolean,
    fused: boolean,
    hooks: readonly string[] = [],
  ) {
    const { architecture: a, weights } = this.folder;
    const inputs = new Map(names.map(({ name, shape }, i) => [name, g.input(`w${i}`, shape)]));
    const seen = new Map<string, g.Tensor>();
    const get: Parameters = Object.assign((weight: Weight) => named(inputs, weight.name), {
      product({ weight }: Linear, x: g.Tensor): null {
        seen.set(`w${names.findIndex(({ name }) => name === weight.name)}`, x);
        return null;
      },
    });
    const mask = fused ? null : g.input(maskName(a.windows[layer]!), ['seq', 'seq']);
    const tables = rotaryInputs(a, layer, g.input);
    const points = new TappedHookPoints(hooks);
    const { out } = block(
      a,
      layer,
      weights.layers[layer]!,
      get,
      g.input('stream', ['batch*seq', a.width]),
      new Grid(g.input('like', ['batch', 'seq'], 'int64')),
      {
        positions: g.input('positions', ['batch', 'seq'], 'int64'),
        rotary: () => tables,
        mask: () => mask,
        past: null,
        fused: fused ? { last: g.input('last', ['batch'], 'int32'), total: g.input('total', [], 'int32') } : null,
      },
      points,
    );
    const outputs: Record<string, g.Tensor> = { ...Object.fromEntries(points.taps), ...(output && { output: out }) };
    const taps = new Map<string, string>();
    const byTensor = new Map<g.Tensor, string>();
    for (const name of wanted) {
      const x = named(seen, name);
      const label = byTensor.get(x) ?? `in.${name}`;
      byTensor.set(x, label);
      taps.set(name, label);
    }
    for (const [x, name] of byTensor) {
      outputs[name] = x;
    }
    return { outputs, taps };
  }
}

/** What a program reads of all that there is to feed. */
function usedOf({ program }: Session, feeds: Readonly<Record<string, FeedValue>>): Record<string, FeedValue> {
  const used = new Set(program.inputs.map(({ name }) => name));
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => used.has(name)));
}
