/** What follows a patched node inside its block: the shares of heads, and the MLP behind them. Weights are fed block by block. */
import type { Weight } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { Grid, headOutputs, mlpHalf, TappedHookPoints } from '../../lm/index.ts';
import { Session } from '../../runtime/index.ts';
import { ROWS } from './apart-graph.ts';
import type { NodeModel } from './node-model.ts';

type Weights = ReadonlyMap<string, Float32Array>;

/** Blocks that compute alike share the programs. */
export class TailPrograms {
  readonly #nodes: NodeModel;
  readonly #threads: number | undefined;
  readonly #sessions = new Map<string, Promise<{ session: Session; names: readonly string[] }>>();

  constructor(nodes: NodeModel, threads?: number) {
    this.#nodes = nodes;
    this.#threads = threads;
  }

  /** What each head adds for values [rows, heads * headDim]: [heads, rows, width]. */
  async heads(layer: number, z: Float32Array, weights: Weights): Promise<Float32Array> {
    const { architecture: a, folder } = this.#nodes.model;
    const made = await this.#session(`heads ${layer}`, 'heads', layer, (value) => {
      const values = g.input('z', ['rows', a.heads * a.headDim]);
      const byHead = g.transpose(g.reshape(values, ['rows', a.heads, a.headDim]), [1, 0, 2]);
      return g.matmul(byHead, headOutputs(a, folder.weights.layers[layer]!.output, value));
    });
    const rows = z.length / (a.heads * a.headDim);
    return this.#run(made, weights, { z: { shape: [rows, a.heads * a.headDim], data: z } });
  }

  /** The stream behind the MLP of a block, of streams [batch * seq, width] before it. */
  async mlp(
    layer: number,
    stream: Float32Array,
    sizes: { batch: number; seq: number },
    weights: Weights,
  ): Promise<Float32Array> {
    const { architecture: a, folder } = this.#nodes.model;
    const made = await this.#session(`mlp ${layer}`, 'mlp', layer, (value) => {
      const grid = new Grid(g.input('like', ['batch', 'seq'], 'int64'));
      const before = g.input('stream', [ROWS, a.width]);
      return g.add(
        before,
        mlpHalf(a, layer, folder.weights.layers[layer]!, value, before, grid, new TappedHookPoints()),
      );
    });
    const { batch, seq } = sizes;
    return this.#run(made, weights, {
      stream: { shape: [batch * seq, a.width], data: stream },
      like: { shape: [batch, seq], data: new BigInt64Array(batch * seq) },
    });
  }

  async release(): Promise<void> {
    for (const made of this.#sessions.values()) {
      await (await made).session.release();
    }
    this.#sessions.clear();
  }

  /** Weights are inputs `w0`, `w1`, ... in the order in which the graph asks for them, so that layers of one form share it. */
  #session(
    asked: string,
    what: string,
    layer: number,
    build: (value: (weight: Weight) => g.Tensor) => g.Tensor,
  ): Promise<{ session: Session; names: readonly string[] }> {
    const known = this.#sessions.get(asked);
    if (known) {
      return known;
    }
    const weights: Weight[] = [];
    const inputs = new Map<string, g.Tensor>();
    const output = build((weight) => {
      const input = inputs.get(weight.name) ?? g.input(`w${weights.push(weight) - 1}`, weight.shape);
      inputs.set(weight.name, input);
      return input;
    });
    const form = `${what} of ${weights.map(({ shape }) => shape.join('x')).join()}`;
    const shared = this.#sessions.get(form);
    const made = (async () => {
      const { model } = this.#nodes;
      const session = shared
        ? (await shared).session
        : await Session.create(g.compile({ output }, { name: `${what} ${layer}`, target: model.device }), {
            provider: model.device,
            ...(this.#threads !== undefined && { threads: this.#threads }),
            spinning: false,
            flushDenormals: true,
          });
      return { session, names: weights.map(({ name }) => name) };
    })();
    this.#sessions.set(asked, made);
    this.#sessions.set(form, shared ?? made);
    return made;
  }

  async #run(
    { session, names }: { session: Session; names: readonly string[] },
    weights: Weights,
    feeds: Parameters<Session['run']>[0],
  ): Promise<Float32Array> {
    const used = new Set(session.program.inputs.map(({ name }) => name));
    const shapes = new Map(session.program.inputs.map(({ name, shape }) => [name, shape as readonly number[]]));
    const all = {
      ...feeds,
      ...Object.fromEntries(
        names.map((name, i) => [`w${i}`, { shape: shapes.get(`w${i}`) ?? [], data: weights.get(name)! }]),
      ),
    };
    const out = await session.run(Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name))));
    return out.output!.data as Float32Array;
  }
}
