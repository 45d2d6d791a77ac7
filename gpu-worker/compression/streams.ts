/** What runs through the blocks of a model that is being compressed: calibration and held-out text, one block after another. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Linear } from '../../shared/models/architecture.ts';
import { BlockRunner, type BlockStream, type ModelFolder, passesOf } from '../lm/index.ts';
import { inputsOf } from './plan.ts';
import { HeldOutInputs } from './statistics/held-out-inputs.ts';
import { InputSums, type Statistics } from './statistics/input-sums.ts';
import type { Products } from './statistics/products.ts';

type Values = ReadonlyMap<string, Float32Array>;
type Sums = { add(x: Float32Array): Promise<void>; finish(): void };
type Rows = readonly ArrayLike<number>[];

/** Relative squared error of the held-out stream that leaves a block: all of it, and what arose in it. */
type StreamError = { stream_error: number; arisen: number };

export class Streams {
  readonly #runner: BlockRunner;
  readonly #products: Products;
  readonly #statistics: Statistics;
  readonly #calibration: BlockStream[];
  /** The held-out stream as the compressed blocks give it, and as the dense ones do. */
  readonly #heldOut: BlockStream[];
  readonly #dense: BlockStream[];

  private constructor(
    runner: BlockRunner,
    products: Products,
    statistics: Statistics,
    calibration: BlockStream[],
    heldOut: BlockStream[],
  ) {
    this.#runner = runner;
    this.#products = products;
    this.#statistics = statistics;
    this.#calibration = calibration;
    this.#heldOut = heldOut;
    this.#dense = heldOut.map((stream) => ({ ...stream }));
  }

  /** The streams that enter the first block. Calibration is left out where nothing is asked of it. */
  static async begin(
    model: ModelFolder,
    products: Products,
    statistics: Statistics,
    text: { calibration: Rows; heldOut: Rows },
    options: { threads?: number | undefined },
  ): Promise<Streams> {
    if (model.architecture.experts) {
      throw new SextantError(
        'model_unsupported',
        'the experts of a mixture cannot be compressed: which of them read a token is not kept',
      );
    }
    const runner = new BlockRunner(model, options);
    const embedded = (rows: Rows): Promise<BlockStream[]> => runner.embed(passesOf(rows));
    try {
      const calibration = statistics === 'none' ? [] : await embedded(text.calibration);
      return new Streams(runner, products, statistics, calibration, await embedded(text.heldOut));
    } catch (error) {
      await runner.release();
      throw error;
    }
  }

  release = (): Promise<void> => this.#runner.release();

  /** Sums over the calibration inputs of linear layers; layers that read one input share them. */
  calibrationSums(layer: number, values: Values, linears: readonly Linear[]): Promise<Map<string, InputSums>> {
    const sums = (size: number) => new InputSums(size, this.#statistics, this.#products);
    return this.#sums(layer, values, linears, this.#calibration, sums);
  }

  heldOutInputs(layer: number, values: Values, linears: readonly Linear[]): Promise<Map<string, HeldOutInputs>> {
    const tokens = this.#heldOut.reduce((sum, { batch, seq }) => sum + batch * seq, 0);
    const sums = (size: number) => new HeldOutInputs(size, tokens, this.#products);
    return this.#sums(layer, values, linears, this.#heldOut, sums);
  }

  async #sums<S extends Sums>(
    layer: number,
    values: Values,
    linears: readonly Linear[],
    streams: readonly BlockStream[],
    make: (size: number) => S,
  ): Promise<Map<string, S>> {
    const names = linears.map(({ weight }) => weight.name);
    const found = new Map<string, S>();
    if (names.length === 0) {
      return found;
    }
    for (const stream of streams) {
      const { inputs } = await this.#runner.pass(layer, stream, values, { inputs: names, output: false });
      const first = new Map<Float32Array, string>();
      for (const [i, name] of names.entries()) {
        const x = inputs.get(name)!;
        const owner = first.get(x);
        if (owner !== undefined) {
          found.set(name, found.get(owner)!);
          continue;
        }
        first.set(x, name);
        if (!found.has(name)) {
          found.set(name, make(inputsOf(linears[i]!)));
        }
        await found.get(name)!.add(x);
      }
    }
    for (const linear of streams.length === 0 ? linears : []) {
      found.set(linear.weight.name, make(inputsOf(linear)));
    }
    for (const sums of new Set(found.values())) {
      sums.finish();
    }
    return found;
  }

  /** All streams through a block; how far the compressed one is from the dense one, and how much of that arose here. */
  async carry(layer: number, dense: Values, compressed: Values): Promise<StreamError> {
    const through = async (stream: BlockStream, weights: Values): Promise<Float32Array> =>
      (await this.#runner.pass(layer, stream, weights, { inputs: [], output: true })).output!;
    const last = layer + 1 === this.#runner.folder.architecture.layers;
    if (!last) {
      for (const stream of this.#calibration) {
        stream.data = await through(stream, compressed);
      }
    }
    let [whole, all, here] = [0, 0, 0];
    for (const [i, stream] of this.#heldOut.entries()) {
      const right = this.#dense[i]!;
      const clean = await through(right, dense);
      const fresh = await through(right, compressed);
      stream.data = await through(stream, compressed);
      for (let j = 0; j < clean.length; j++) {
        whole += clean[j]! ** 2;
        all += (stream.data[j]! - clean[j]!) ** 2;
        here += (fresh[j]! - clean[j]!) ** 2;
      }
      right.data = clean;
    }
    return { stream_error: whole > 0 ? all / whole : 0, arisen: whole > 0 ? here / whole : 0 };
  }
}
