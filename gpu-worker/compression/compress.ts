/**
 * A model compressed block by block: each block is calibrated on the stream that the compressed blocks before it give,
 * changed, written, and then carries the stream on. One block's weights are in memory at a time.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Linear } from '../../shared/models/architecture.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import {
  BlockRunner,
  type BlockStream,
  type ModelFolder,
  readStored,
  readWeight,
  readWeightsOfFile,
} from '../lm/index.ts';
import { AwqFolding } from './awq-folding.ts';
import { Gram, outputEnergy } from './gram.ts';
import { asStored, outIn } from './linear-layout.ts';
import { compressMatrix, InputSums } from './matrix-compression.ts';
import { packedConfig, packedTensors } from './packing.ts';
import { type CompressionPlan, inputsOf, requirePlan, rounds, selectedLinears } from './plan.ts';
import { Products } from './products.ts';
import { type Shard, shardIndex, shardName, type TensorToStore, writeShard } from './shards.ts';

type MatrixReport = {
  name: string;
  /** Share of entries that are zero. */
  sparsity: number;
  /** Of a weight as it is stored. */
  bits: number;
  /** Sum of |(W' - W) x|^2 over that of |W x|^2, on held-out text. */
  relative_error: number;
  bytes: number;
  dense_bytes: number;
  /** False where its Hessian could not be factorised; it is then stored as it was. */
  compressed: boolean;
};

export type BlockReport = {
  layer: number;
  matrices: MatrixReport[];
  /** Relative squared error of the stream that leaves the block, on held-out text: all of it, and what arose in it. */
  stream_error: number;
  arisen: number;
};

export type CompressionOptions = {
  /** Where the files go; the folder must exist. */
  folder: string;
  threads?: number | undefined;
  /** Blocks that an earlier attempt finished, whose files lie in `folder` already. */
  done?: readonly { shard: Shard; report: BlockReport }[];
  onBlock?: (block: { shard: Shard; report: BlockReport }, done: number) => void | Promise<void>;
};

export type Compressed = { blocks: BlockReport[]; bytes: number; notices: string[] };

/** Rows of a pass. */
const PASS_TOKENS = 2048;

/**
 * @param calibration token rows from which statistics are taken
 * @param heldOut other rows, on which errors are measured
 * @throws SextantError `data_invalid` for a plan that does not fit the model or that changed nothing
 */
export async function compressModel(
  model: ModelFolder,
  plan: CompressionPlan,
  calibration: readonly ArrayLike<number>[],
  heldOut: readonly ArrayLike<number>[],
  options: CompressionOptions,
): Promise<Compressed> {
  const { layers } = model.architecture;
  const selected = selectedLinears(model, plan);
  requirePlan(plan, layers, selected);
  const work = new Compression(model, plan, selected, options);
  try {
    await work.begin(calibration, heldOut);
    const shards = [work.outside()];
    const blocks: BlockReport[] = [];
    for (let layer = 0; layer < layers; layer++) {
      const done = options.done?.[layer];
      const block = done ? await work.skip(layer, done) : await work.compress(layer);
      shards.push(block.shard);
      blocks.push(block.report);
      if (!done) {
        await options.onBlock?.(block, layer + 1);
      }
    }
    work.requireChange(blocks);
    const notices = work.finish(shards, blocks);
    return { blocks, bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0), notices };
  } finally {
    await work.release();
  }
}

class Compression {
  readonly #model: ModelFolder;
  readonly #plan: CompressionPlan;
  readonly #selected: readonly (readonly Linear[])[];
  readonly #options: CompressionOptions;
  readonly #runner: BlockRunner;
  readonly #products: Products;
  #calibration: BlockStream[] = [];
  /** The held-out stream as the compressed blocks give it, and as the dense ones do. */
  #heldOut: BlockStream[] = [];
  #dense: BlockStream[] = [];

  constructor(
    model: ModelFolder,
    plan: CompressionPlan,
    selected: readonly (readonly Linear[])[],
    options: CompressionOptions,
  ) {
    this.#model = model;
    this.#plan = plan;
    this.#selected = selected;
    this.#options = options;
    this.#runner = new BlockRunner(model, options);
    this.#products = new Products(options);
  }

  async begin(calibration: readonly ArrayLike<number>[], heldOut: readonly ArrayLike<number>[]): Promise<void> {
    mkdirSync(this.#options.folder, { recursive: true });
    this.#calibration = await this.#embedded(calibration);
    this.#heldOut = await this.#embedded(heldOut);
    this.#dense = this.#heldOut.map((stream) => ({ ...stream }));
  }

  release = async (): Promise<void> => {
    await this.#runner.release();
    await this.#products.release();
  };

  /** Rows of equal length together, so that nothing is padded. */
  async #embedded(rows: readonly ArrayLike<number>[]): Promise<BlockStream[]> {
    const byLength = new Map<number, ArrayLike<number>[]>();
    for (const row of rows) {
      byLength.set(row.length, [...(byLength.get(row.length) ?? []), row]);
    }
    const streams: BlockStream[] = [];
    for (const [length, equal] of byLength) {
      const count = Math.max(1, Math.floor(PASS_TOKENS / length));
      for (let from = 0; from < equal.length; from += count) {
        streams.push(await this.#runner.embed(equal.slice(from, from + count)));
      }
    }
    return streams;
  }

  /** What no block holds, as it is stored. */
  outside(): Shard {
    const inBlocks = new Set(
      this.#model.weights.layers.flatMap((_, layer) => this.#runner.weightsOf(layer).map(({ name }) => name)),
    );
    const others = listWeights(this.#model.weights).filter(({ name }) => !inBlocks.has(name));
    return this.#write(
      0,
      others.map(({ name }) => stored(this.#model, name)),
    );
  }

  async compress(layer: number): Promise<{ shard: Shard; report: BlockReport }> {
    const dense = this.#values(layer);
    const linears = this.#selected[layer]!;
    const sums = await this.#sums(layer, dense, linears, this.#calibration);
    const heldSums = await this.#sums(layer, dense, linears, this.#heldOut);
    const plan = this.#plan;
    const values = new Map(dense);
    const folding =
      plan.method === 'awq'
        ? await AwqFolding.of(this.#products, this.#model, layer, linears, dense, sums, plan)
        : null;
    for (const [name, changed] of folding?.changed ?? []) {
      values.set(name, changed);
    }
    const tensors = new Map<string, TensorToStore[]>();
    const matrices: MatrixReport[] = [];
    const share = plan.shares?.[layer] ?? plan.share ?? 0;
    for (const linear of linears) {
      const { name } = linear.weight;
      const w = outIn(linear, dense.get(name)!);
      const start = folding ? outIn(linear, values.get(name)!) : w;
      const made = await compressMatrix(this.#products, start, sums.get(name)!, plan, share);
      const final = made ? made.values : start;
      values.set(name, asStored(linear, final));
      const effective = folding ? folding.effective(linear, final) : final;
      const kept = this.#tensorsOf(linear, made);
      if (kept) {
        tensors.set(name, kept);
      }
      matrices.push(await this.#report(linear, w, effective, final, heldSums.get(name)!.gram, kept, made !== null));
    }
    const all = this.#runner.weightsOf(layer).flatMap(({ name, shape }) => {
      const packed = tensors.get(name);
      if (packed) {
        return packed;
      }
      if (values.get(name) === dense.get(name)) {
        return [stored(this.#model, name)];
      }
      return [floats(name, shape, values.get(name)!)];
    });
    const shard = this.#write(layer + 1, all);
    const report = { layer, matrices, ...(await this.#carry(layer, dense, values)) };
    return { shard, report };
  }

  /** Carries the streams through a block that an earlier attempt finished, with the weights of its file. */
  async skip(layer: number, done: { shard: Shard; report: BlockReport }) {
    const dense = this.#values(layer);
    const { bits, group } = this.#plan;
    const file = join(this.#options.folder, done.shard.file);
    const values = readWeightsOfFile(file, this.#runner.weightsOf(layer), { bits: bits ?? 16, group });
    await this.#carry(layer, dense, values);
    return done;
  }

  #values(layer: number): Map<string, Float32Array> {
    return new Map(this.#runner.weightsOf(layer).map(({ name }) => [name, readWeight(this.#model, name)]));
  }

  /** Sums over the inputs of linear layers; layers that read one input share them. */
  async #sums(
    layer: number,
    values: ReadonlyMap<string, Float32Array>,
    linears: readonly Linear[],
    streams: readonly BlockStream[],
  ): Promise<Map<string, InputSums>> {
    const names = linears.map(({ weight }) => weight.name);
    const found = new Map<string, InputSums>();
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
          found.set(name, new InputSums(new Gram(inputsOf(linears[i]!)), this.#products));
        }
        await found.get(name)!.gram.add(this.#products, x);
      }
    }
    for (const { gram } of new Set(found.values())) {
      gram.finish();
    }
    return found;
  }

  /** The tensors of a rounded matrix; null where it is stored as it is computed with. */
  #tensorsOf(linear: Linear, made: Awaited<ReturnType<typeof compressMatrix>>): TensorToStore[] | null {
    const { bits, symmetric, method } = this.#plan;
    if (!made?.rounded || linear.layout !== 'out_in') {
      return null;
    }
    const signed = symmetric && method !== 'gptq';
    const name = linear.weight.name.replace(/\.weight$/, '');
    return packedTensors(name, made.rounded, { bits: bits!, signed, asymmetric: !symmetric });
  }

  async #report(
    { weight }: Linear,
    w: Float32Array,
    effective: Float32Array,
    final: Float32Array,
    gram: Gram,
    tensors: readonly TensorToStore[] | null,
    compressed: boolean,
  ): Promise<MatrixReport> {
    const difference = effective.map((value, i) => value - w[i]!);
    const whole = await outputEnergy(this.#products, gram, w);
    const bytes = tensors ? tensors.reduce((sum, tensor) => sum + tensor.bytes.length, 0) : 4 * w.length;
    return {
      name: weight.name,
      sparsity: final.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / final.length,
      bits: (8 * bytes) / w.length,
      relative_error: whole > 0 ? Math.max(0, await outputEnergy(this.#products, gram, difference)) / whole : 0,
      bytes,
      dense_bytes: 4 * w.length,
      compressed,
    };
  }

  /** All streams through the block; how far the compressed one is from the dense one, and how much of that arose here. */
  async #carry(
    layer: number,
    dense: ReadonlyMap<string, Float32Array>,
    values: ReadonlyMap<string, Float32Array>,
  ): Promise<{ stream_error: number; arisen: number }> {
    const through = async (stream: BlockStream, weights: ReadonlyMap<string, Float32Array>): Promise<Float32Array> =>
      (await this.#runner.pass(layer, stream, weights, { inputs: [], output: true })).output!;
    const last = layer + 1 === this.#model.architecture.layers;
    if (!last) {
      for (const stream of this.#calibration) {
        stream.data = await through(stream, values);
      }
    }
    let [whole, all, here] = [0, 0, 0];
    for (const [i, stream] of this.#heldOut.entries()) {
      const right = this.#dense[i]!;
      const clean = await through(right, dense);
      const fresh = await through(right, values);
      stream.data = await through(stream, values);
      for (let j = 0; j < clean.length; j++) {
        whole += clean[j]! ** 2;
        all += (stream.data[j]! - clean[j]!) ** 2;
        here += (fresh[j]! - clean[j]!) ** 2;
      }
      right.data = clean;
    }
    return { stream_error: whole > 0 ? all / whole : 0, arisen: whole > 0 ? here / whole : 0 };
  }

  #write(index: number, tensors: readonly TensorToStore[]): Shard {
    const count = this.#model.architecture.layers + 1;
    return writeShard(this.#options.folder, shardName(index, count), tensors);
  }

  /** A share above 0 or fewer than 16 bits must have changed something. */
  requireChange(blocks: readonly BlockReport[]): void {
    const matrices = blocks.flatMap((block) => block.matrices).filter(({ compressed }) => compressed);
    const { method, share, shares, pattern } = this.#plan;
    const asked = rounds(method) || pattern !== null || (shares ?? [share ?? 0]).some((value) => value > 0);
    if (
      asked &&
      blocks.every(({ stream_error }) => stream_error === 0) &&
      matrices.every((m) => m.relative_error === 0)
    ) {
      throw new SextantError(
        'data_invalid',
        `${method} changed nothing: no output of any layer moved. Were its weights compressed before?`,
      );
    }
  }

  /** The rest of the folder. */
  finish(shards: readonly Shard[], blocks: readonly BlockReport[]): string[] {
    const { folder } = this.#options;
    const { method, bits, group, symmetric } = this.#plan;
    const write = (name: string, value: unknown) =>
      writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
    write('model.safetensors.index.json', shardIndex(shards));
    const { dtype: _dtype, torch_dtype: _older, ...config } = this.#model.config;
    const matrices = blocks.flatMap((block) => block.matrices);
    const packed = shards.some(({ names }) => names.some((name) => name.endsWith('.weight_packed')));
    const rounded = new Set(shards.flatMap(({ names }) => names.filter((name) => name.endsWith('.weight_packed'))));
    const plain = this.#model.weights.layers
      .flatMap((_, layer) => this.#runner.weightsOf(layer))
      .filter(({ name, shape }) => shape.length === 2 && !rounded.has(name.replace(/weight$/, 'weight_packed')))
      .map(({ name }) => name.replace(/\.weight$/, ''));
    write('config.json', {
      ...config,
      torch_dtype: 'float32',
      ...(packed && {
        quantization_config: packedConfig({ bits: bits!, group, asymmetric: !symmetric }, ['lm_head', ...plain]),
      }),
    });
    const failed = matrices.filter(({ compressed }) => !compressed).map(({ name }) => name);
    return [
      ...(failed.length > 0 ? [`the Hessian of ${failed.join(', ')} cannot be factorised: stored as it was`] : []),
      ...(rounds(method) && !packed ? ['stored dense: compressed-tensors holds no matrices of this family'] : []),
    ];
  }
}

const floats = (name: string, shape: readonly number[], values: Float32Array): TensorToStore => ({
  name,
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/** A weight as the model's folder stores it. */
function stored(model: ModelFolder, name: string): TensorToStore {
  const { dtype, shape } = model.stored.get(name)!;
  return { name, dtype: dtype as TensorToStore['dtype'], shape, bytes: readStored(model, name) };
}
