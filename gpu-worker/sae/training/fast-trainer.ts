/**
 * The fast path for codes with k entries per token: the encoder's product and the selection run on onnxruntime, decoding,
 * all gradients and Adam in WebAssembly kernels that touch only the selected entries. Results do not depend on the
 * number of threads, and are the same in every run.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { Encoder } from '../codes/encoder.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import { VARIANTS } from '../codes/variants.ts';
import type { SaeConfiguration } from './configuration.ts';
import { fastMemory, loadWeights, padRows, strideOf, unloadWeights } from './fast-memory.ts';
import { initialState, type StepReport, type Trainer, type TrainerState } from './trainer.ts';

/** Configurations that the fast path can train; the dense program trains all. */
export const fastPathFits = (r: SaeConfiguration): boolean =>
  VARIANTS[r.variant].selection === 'token' && r.matryoshkaPrefixes.length === 0 && r.iterations === 1;

/** Below this many weights, waking a thread costs more than it saves. */
const ONE_THREAD = 1 << 17;
/** What a latent costs beside its entries, in entries, when latents are dealt to threads. */
const LATENT_COST = 2;

export class FastTrainer implements Trainer {
  readonly configuration: SaeConfiguration;
  readonly #memory: ReturnType<typeof fastMemory>;
  readonly #encoder: Encoder;
  /** Whether the encoder is this trainer's own, to be released with it. */
  readonly #ownsEncoder: boolean;
  readonly #signed: boolean;
  readonly #stride: number;
  readonly #batch: number;
  readonly #tokensSinceFired: Float64Array;
  #steps: number;

  /**
   * @param batch most rows of a step
   * @param start parameters to begin with, or the state of an earlier trainer
   */
  constructor(
    configuration: SaeConfiguration,
    batch: number,
    start: SaeParameters | TrainerState,
    { threads = 2, encoder }: { threads?: number; encoder?: Encoder } = {},
  ) {
    if (!fastPathFits(configuration)) {
      throw new SextantError(
        'validation_failed',
        `the fast path trains per-token top-k codes, not ${configuration.variant}`,
      );
    }
    const state = 'tokensSinceFired' in start ? start : initialState(start);
    this.configuration = configuration;
    this.#signed = VARIANTS[configuration.variant].signed;
    this.#batch = batch;
    this.#stride = strideOf(configuration.inputs);
    this.#steps = state.steps;
    this.#tokensSinceFired = state.tokensSinceFired.slice();
    this.#ownsEncoder = encoder === undefined;
    this.#encoder = encoder ?? new Encoder({ threads, spinning: false });
    this.#memory = fastMemory(
      configuration,
      batch,
      configuration.width * configuration.inputs < ONE_THREAD ? 1 : threads,
    );
    loadWeights(this.#memory.weights, state.parameters);
    loadWeights(this.#memory.first, state.first);
    loadWeights(this.#memory.second, state.second);
  }

  async parameters(): Promise<SaeParameters> {
    return unloadWeights(this.#memory.weights, this.configuration);
  }

  async state(): Promise<TrainerState> {
    return {
      steps: this.#steps,
      parameters: unloadWeights(this.#memory.weights, this.configuration),
      first: unloadWeights(this.#memory.first, this.configuration),
      second: unloadWeights(this.#memory.second, this.configuration),
      tokensSinceFired: this.#tokensSinceFired.slice(),
      cut: 0,
    };
  }

  /** Centres the batch into the kernels' memory and the runtime's copy. */
  #admit(x: Float32Array, rows: number): void {
    const { inputs } = this.configuration;
    const stride = this.#stride;
    const { copies, weights, arrays, source } = this.#memory;
    const bias = weights.decoderBias;
    const centred = source ?? arrays.inputs;
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < inputs; i++) {
        copies.x[row * stride + i] = x[row * inputs + i]! - bias[i]!;
      }
    }
    centred.set(copies.x.subarray(0, rows * stride));
    if (source) {
      padRows(arrays.inputs, x, inputs);
      copies.x.set(arrays.inputs.subarray(0, rows * stride));
    }
    copies.encoder.set(weights.encoder);
  }

  /** Selects the codes of rows 0 .. rows; returns the number of entries. */
  async #select(rows: number): Promise<number> {
    const { k, width } = this.configuration;
    const { latents, values } = await this.#encoder.top(
      {
        x: this.#memory.copies.x.subarray(0, rows * this.#stride),
        rows,
        inputs: this.#stride,
        encoder: this.#memory.copies.encoder,
        bias: this.#memory.weights.encoderBias.slice(0, width),
      },
      this.#signed,
      k,
    );
    this.#memory.arrays.index.set(latents);
    this.#memory.arrays.values.set(values);
    for (let row = 0; row <= rows; row++) {
      this.#memory.arrays.starts[row] = row * k;
    }
    return rows * k;
  }

  /** Codes of the dead latents, as rows `rows .. 2 rows` that explain the errors of the first ones. */
  async #selectAuxiliary(rows: number, dead: Int32Array, first: number): Promise<number> {
    const stride = this.#stride;
    const k = Math.min(this.configuration.auxiliaryLatents, dead.length);
    const encoder = new Float32Array(dead.length * stride);
    dead.forEach((latent, i) => {
      encoder.set(this.#memory.weights.encoder.subarray(latent * stride, (latent + 1) * stride), i * stride);
    });
    const bias = Float32Array.from(dead, (latent) => this.#memory.weights.encoderBias[latent]!);
    const x = this.#memory.copies.x.subarray(0, rows * stride);
    const { latents, values } = await this.#encoder.top({ x, rows, inputs: stride, encoder, bias }, this.#signed, k);
    this.#memory.arrays.index.set(
      latents.map((i) => dead[i]!),
      first,
    );
    this.#memory.arrays.values.set(values, first);
    for (let row = 0; row <= rows; row++) {
      this.#memory.arrays.starts[rows + row] = first + row * k;
    }
    return first + rows * k;
  }

  async run(x: Float32Array, rates: readonly number[]): Promise<StepReport[]> {
    const size = x.length / rates.length;
    const reports: StepReport[] = [];
    for (const [i, rate] of rates.entries()) {
      reports.push(await this.step(x.subarray(i * size, (i + 1) * size), rate));
    }
    return reports;
  }

  /** One step on rows x inputs activations. */
  async step(x: Float32Array, rate: number): Promise<StepReport> {
    const { inputs, width, deadTokens, auxiliaryWeight } = this.configuration;
    const rows = x.length / inputs;
    if (!Number.isInteger(rows) || rows < 1 || rows > this.#batch) {
      throw new RangeError(`a step takes 1 to ${this.#batch} rows of ${inputs} values, got ${x.length} values`);
    }
    const { pool, weights, arrays } = this.#memory;
    const rowBytes = 4 * this.#stride;
    const scale = -2 / rows;
    const dead = Int32Array.from(
      [...this.#tokensSinceFired.keys()].filter((i) => this.#tokensSinceFired[i]! >= deadTokens),
    );
    this.#admit(x, rows);
    const entries = await this.#select(rows);
    const auxiliary = auxiliaryWeight > 0 && dead.length > 0;
    const last = auxiliary ? await this.#selectAuxiliary(rows, dead, entries) : entries;

    const common = { ...arrays, rowBytes, latents: arrays.index, decoder: weights.decoder };
    pool.share('decode', pool.evenly(rows), { ...common, source: this.#memory.source ?? arrays.inputs, scale });
    let loss = 0;
    for (let row = 0; row < rows; row++) {
      loss += arrays.losses[row]!;
    }
    let extra = 0;
    if (auxiliary) {
      const cuts = pool.evenly(rows).map((row) => row + rows);
      // Row `rows + r` explains the error of row r.
      const source = arrays.errors.byteOffset - rows * rowBytes;
      pool.share('decode', cuts, { ...common, source, scale: scale * auxiliaryWeight });
      for (let row = rows; row < 2 * rows; row++) {
        extra += arrays.losses[row]!;
      }
      for (let entry = entries; entry < last; entry++) {
        arrays.values[entry]! *= auxiliaryWeight;
      }
    }
    const total = auxiliary ? 2 * rows : rows;
    pool.run('group_by_latent', { ...arrays, rows: total, auxiliary: rows, latents: width });
    this.#backward(rows, rowBytes, scale);
    this.#update(rate, rowBytes);
    return {
      loss: loss / rows,
      total: (loss + auxiliaryWeight * extra) / rows,
      l0: this.#account(rows) / rows,
      dead: dead.length,
    };
  }

  #backward(rows: number, rowBytes: number, scale: number): void {
    const { pool, arrays, weights, gradient } = this.#memory;
    const { width, unitRows, subtractBias } = this.configuration;
    pool.share('weight_gradients', this.#dealLatents(), {
      ...arrays,
      rowBytes,
      auxiliary: rows,
      decoder: weights.decoder,
      encoderGradient: gradient.encoder,
      decoderGradient: gradient.decoder,
      biasGradient: gradient.encoderBias,
      scale,
      project: unitRows ? 1 : 0,
    });
    pool.share('decoder_bias_gradient', pool.evenly(rowBytes, 16), {
      rowBytes,
      rows,
      errors: arrays.errors,
      latents: subtractBias ? width : 0,
      biasGradient: gradient.encoderBias,
      encoder: weights.encoder,
      out: gradient.decoderBias,
      scale,
    });
  }

  /** Cuts the latents so that every thread has about the same number of entries. */
  #dealLatents(): number[] {
    const { offsets } = this.#memory.arrays;
    const { width } = this.configuration;
    const cost = (latent: number) => offsets[latent]! + LATENT_COST * latent;
    const cuts = [0];
    for (let thread = 1; thread < this.#memory.pool.threads; thread++) {
      const wanted = (cost(width) * thread) / this.#memory.pool.threads;
      let [low, high] = [cuts[thread - 1]!, width];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (cost(middle) < wanted) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      cuts.push(low);
    }
    return [...cuts, width];
  }

  #update(rate: number, rowBytes: number): void {
    const { pool, arrays, weights, first, second, gradient } = this.#memory;
    const { width, beta1, beta2, epsilon, clipNorm, unitRows } = this.configuration;
    this.#steps += 1;
    let square = 0;
    for (let i = 0; i < width; i++) {
      square += arrays.norms[i]!;
    }
    for (const value of gradient.decoderBias) {
      square += value * value;
    }
    const adam = {
      rate: rate / (1 - beta1 ** this.#steps),
      beta1,
      beta2,
      rest1: 1 - beta1,
      rest2: 1 - beta2,
      epsilon,
      correction: 1 / Math.sqrt(1 - beta2 ** this.#steps),
      clip: clipNorm === null ? 1 : Math.min(1, clipNorm / (Math.sqrt(square) + 1e-6)),
    };
    pool.share('update_rows', pool.evenly(width), {
      rowBytes,
      offsets: arrays.offsets,
      encoder: weights.encoder,
      encoderFirst: first.encoder,
      encoderSecond: second.encoder,
      encoderGradient: gradient.encoder,
      decoder: weights.decoder,
      decoderFirst: first.decoder,
      decoderSecond: second.decoder,
      decoderGradient: gradient.decoder,
      unit: unitRows ? 1 : 0,
      ...adam,
    });
    for (const name of ['encoderBias', 'decoderBias'] as const) {
      pool.run('update_vector', {
        bytes: weights[name].byteLength,
        weight: weights[name],
        first: first[name],
        second: second[name],
        gradient: gradient[name],
        ...adam,
      });
    }
  }

  /** Counts the tokens since each latent fired; returns the number of codes other than 0. */
  #account(rows: number): number {
    let codes = 0;
    const { fired } = this.#memory.arrays;
    for (let i = 0; i < this.#tokensSinceFired.length; i++) {
      codes += fired[i]!;
      this.#tokensSinceFired[i] = fired[i]! > 0 ? 0 : this.#tokensSinceFired[i]! + rows;
    }
    return codes;
  }

  async close(): Promise<void> {
    await this.#memory.pool.close();
    if (this.#ownsEncoder) {
      await this.#encoder.release();
    }
  }
}
