/** Pre-activations and selection on onnxruntime: the only dense product of a k-sparse step. */
import * as g from '../../graph/index.ts';
import { Session, type SessionOptions } from '../../runtime/index.ts';
import type { SaeParameters } from './parameters.ts';
import { equalRows, type SparseCodes } from './sparse-codes.ts';
import type { Variant } from './variants.ts';

/** Largest number of pre-activations that are copied to the host at once, for codes without a fixed k. */
const CHUNK_ELEMENTS = 1 << 23;

export type EncodeInput = {
  /** rows x inputs, the decoder bias already subtracted where the variant does so. */
  x: Float32Array;
  rows: number;
  inputs: number;
  /** width x inputs. */
  encoder: Float32Array;
  bias: Float32Array;
};

/** Sessions are made when first needed, and serve every size of batch, input and width. */
export class Encoder {
  readonly #options: SessionOptions;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor(options: SessionOptions = {}) {
    this.#options = options;
  }

  #session(key: string, outputs: (u: g.Tensor) => Record<string, g.Tensor>): Promise<Session> {
    let session = this.#sessions.get(key);
    if (!session) {
      const x = g.input('x', ['rows', 'inputs']);
      const encoder = g.input('encoder', ['width', 'inputs']);
      const bias = g.input('bias', ['width']);
      const u = g.add(g.matmul(x, encoder, { transB: true }), bias);
      session = Session.create(g.compile(outputs(u), { name: `encode ${key}` }), this.#options);
      this.#sessions.set(key, session);
    }
    return session;
  }

  async #run(session: Session, { x, rows, inputs, encoder, bias }: EncodeInput) {
    const width = bias.length;
    return session.run({
      x: { shape: [rows, inputs], data: x },
      encoder: { shape: [width, inputs], data: encoder },
      bias: { shape: [width], data: bias },
    });
  }

  /** The k largest pre-activations of every row, by magnitude with their signs or (`signed` false) by value, at least 0. */
  async top(input: EncodeInput, signed: boolean, k: number): Promise<{ latents: Int32Array; values: Float32Array }> {
    const session = await this.#session(`${signed ? 'abs' : ''}top ${k}`, (u) => {
      const { values, positions } = g.topK(signed ? g.abs(u) : u, k);
      return {
        latents: g.cast(positions, 'int32'),
        values: signed ? g.gatherElements(u, positions) : g.relu(values),
      };
    });
    const out = await this.#run(session, input);
    return { latents: out.latents!.data as Int32Array, values: out.values!.data as Float32Array };
  }

  /** The k pre-activations of largest magnitude in every row, with their signs, and the least one. */
  async extremes(
    input: EncodeInput,
    k: number,
  ): Promise<{ latents: Int32Array; values: Float32Array; least: Float32Array }> {
    const session = await this.#session(`extremes ${k}`, (u) => {
      const { positions } = g.topK(g.abs(u), k);
      const least = g.neg(g.topK(g.neg(u), 1).values);
      return { latents: g.cast(positions, 'int32'), values: g.gatherElements(u, positions), least };
    });
    const out = await this.#run(session, input);
    return {
      latents: out.latents!.data as Int32Array,
      values: out.values!.data as Float32Array,
      least: out.least!.data as Float32Array,
    };
  }

  /** rows x width. */
  async preActivations(input: EncodeInput): Promise<Float32Array> {
    const out = await this.#run(await this.#session('dense', (u) => ({ u })), input);
    return out.u!.data as Float32Array;
  }

  /** Codes as used for inference: the choice for a token never depends on its neighbours. */
  async codes(input: EncodeInput, variant: Variant, k: number, threshold: ArrayLike<number>): Promise<SparseCodes> {
    const { rows, inputs } = input;
    if (variant.selection === 'token') {
      const { latents, values } = await this.top(input, variant.signed, Math.min(k, input.bias.length));
      return equalRows(rows, Math.min(k, input.bias.length), latents, values);
    }
    const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / input.bias.length));
    const starts = new Int32Array(rows + 1);
    const latents: number[] = [];
    const values: number[] = [];
    for (let first = 0; first < rows; first += step) {
      const last = Math.min(rows, first + step);
      const x = input.x.subarray(first * inputs, last * inputs);
      const u = await this.preActivations({ ...input, x, rows: last - first });
      this.#compact(u, first, last, variant, threshold, { starts, latents, values });
    }
    return { rows, starts, latents: Int32Array.from(latents), values: Float32Array.from(values) };
  }

  #compact(
    u: Float32Array,
    first: number,
    last: number,
    variant: Variant,
    threshold: ArrayLike<number>,
    out: { starts: Int32Array; latents: number[]; values: number[] },
  ): void {
    const width = u.length / (last - first);
    const inclusive = variant.selection === 'batch';
    for (let row = first; row < last; row++) {
      for (let i = 0; i < width; i++) {
        const value = u[(row - first) * width + i]!;
        const score = variant.signed ? Math.abs(value) : value;
        // A code that is never negative is never kept below 0, whatever its threshold.
        const cut = Math.max(0, threshold[i] ?? 0);
        if (score > cut || (inclusive && score === cut && score > 0)) {
          out.latents.push(i);
          out.values.push(value);
        }
      }
      out.starts[row + 1] = out.latents.length;
    }
  }

  async release(): Promise<void> {
    const sessions = await Promise.all(this.#sessions.values());
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.release()));
  }
}

/** x - b where the bias is subtracted from the input, else x itself. */
export function centred(x: Float32Array, parameters: SaeParameters, subtract: boolean): Float32Array {
  if (!subtract) {
    return x;
  }
  const { inputs, decoderBias } = parameters;
  const out = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    out[i] = x[i]! - decoderBias[i % inputs]!;
  }
  return out;
}
