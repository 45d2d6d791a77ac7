/**
 * A model compressed block by block: each block is calibrated on the stream that the compressed blocks before it give,
 * changed, written, and then carries the stream on. One block's weights are in memory at a time.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type Linear, listWeights } from '../../shared/models/architecture.ts';
import { type ModelFolder, readWeight, readWeightsOfFile, weightsOfBlock } from '../lm/index.ts';
import { giveBack } from '../runtime/index.ts';
import { finishFolder } from './files/finished-folder.ts';
import { asStored, outIn } from './files/linear-layout.ts';
import { type PackedTensor, packedTensors } from './files/packing.ts';
import { type Shard, shardName, type TensorToStore, writeShard } from './files/shards.ts';
import { AwqFolding } from './methods/awq-folding.ts';
import { compressMatrix, statisticsOf } from './methods/matrix-compression.ts';
import { type CompressionPlan, requirePlan, rounds, selectedLinears } from './plan.ts';
import { type BlockReport, type MatrixReport, reportOf } from './report.ts';
import { Products } from './statistics/products.ts';
import { Streams } from './streams.ts';

export type CompressionOptions = {
  /** Where the files go; the folder must exist. */
  folder: string;
  threads?: number | undefined;
  /** Blocks that an earlier attempt finished, whose files lie in `folder` already. */
  done?: readonly { shard: Shard; report: BlockReport }[];
  onBlock?: (block: { shard: Shard; report: BlockReport }, done: number) => void | Promise<void>;
};

export type Compressed = { blocks: BlockReport[]; bytes: number; notices: string[] };

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
  mkdirSync(options.folder, { recursive: true });
  const products = new Products(options);
  const text = { calibration, heldOut };
  const streams = await Streams.begin(model, products, statisticsOf(plan.method), text, options);
  const work = new Compression(model, plan, selected, options, { products, streams });
  try {
    const shards = [work.outside()];
    const blocks: BlockReport[] = [];
    for (let layer = 0; layer < layers; layer++) {
      const done = options.done?.[layer];
      const block = done ? await work.skip(layer, done) : await work.compress(layer);
      giveBack();
      shards.push(block.shard);
      blocks.push(block.report);
      if (!done) {
        await options.onBlock?.(block, layer + 1);
      }
    }
    work.requireChange(blocks);
    const notices = finishFolder(model, plan, options.folder, shards, blocks);
    return { blocks, bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0), notices };
  } finally {
    await streams.release();
    await products.release();
  }
}

class Compression {
  readonly #model: ModelFolder;
  readonly #plan: CompressionPlan;
  readonly #selected: readonly (readonly Linear[])[];
  readonly #options: CompressionOptions;
  readonly #products: Products;
  readonly #streams: Streams;

  constructor(
    model: ModelFolder,
    plan: CompressionPlan,
    selected: readonly (readonly Linear[])[],
    options: CompressionOptions,
    { products, streams }: { products: Products; streams: Streams },
  ) {
    this.#model = model;
    this.#plan = plan;
    this.#selected = selected;
    this.#options = options;
    this.#products = products;
    this.#streams = streams;
  }

  /** What no block holds, as it is stored. */
  outside(): Shard {
    const inBlocks = new Set(
      this.#model.weights.layers.flatMap((_, layer) => weightsOfBlock(this.#model, layer).map(({ name }) => name)),
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
    const sums = await this.#streams.calibrationSums(layer, dense, linears);
    const heldOut = await this.#streams.heldOutInputs(layer, dense, linears);
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
      sums.delete(name);
      const kept = this.#tensorsOf(linear, made);
      if (kept) {
        tensors.set(name, kept);
      }
      const bytes = kept ? kept.reduce((sum, tensor) => sum + tensor.bytes.length, 0) : 4 * w.length;
      matrices.push(await reportOf(linear, { w, effective, final }, heldOut.get(name)!, bytes, made !== null));
      heldOut.delete(name);
    }
    const all = weightsOfBlock(this.#model, layer).flatMap(({ name, shape }) => {
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
    const report = { layer, matrices, ...(await this.#streams.carry(layer, dense, values)) };
    return { shard, report };
  }

  /** Carries the streams through a block that an earlier attempt finished, with the weights of its file. */
  async skip(layer: number, done: { shard: Shard; report: BlockReport }) {
    const dense = this.#values(layer);
    const { bits, group } = this.#plan;
    const file = join(this.#options.folder, done.shard.file);
    const values = readWeightsOfFile(file, weightsOfBlock(this.#model, layer), { bits: bits ?? 16, group });
    await this.#streams.carry(layer, dense, values);
    return done;
  }

  #values(layer: number): Map<string, Float32Array> {
    return new Map(weightsOfBlock(this.#model, layer).map(({ name }) => [name, readWeight(this.#model, name)]));
  }

  /** The tensors of a rounded matrix; null where it is stored as it is computed with. */
  #tensorsOf(linear: Linear, made: Awaited<ReturnType<typeof compressMatrix>>): PackedTensor[] | null {
    const { bits, symmetric, method } = this.#plan;
    if (!made?.rounded || linear.layout !== 'out_in') {
      return null;
    }
    const signed = symmetric && method !== 'gptq';
    const name = linear.weight.name.replace(/\.weight$/, '');
    return packedTensors(name, made.rounded, { bits: bits!, signed, asymmetric: !symmetric });
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
}

const floats = (name: string, shape: readonly number[], values: Float32Array): TensorToStore => ({
  name,
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/** A weight as the model's folder stores it, which is copied without being read whole. */
function stored(model: ModelFolder, name: string): TensorToStore {
  const { dtype, shape, file, begin, end } = model.stored.get(name)!;
  return {
    name,
    dtype: dtype as TensorToStore['dtype'],
    shape,
    bytes: { file: join(model.weightsPath, file), begin, end },
  };
}
