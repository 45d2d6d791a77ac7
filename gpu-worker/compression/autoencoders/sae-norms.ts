/** What pruning an autoencoder is calibrated by: Euclidean norms over all tokens, summed in double precision. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type Encoder, encodeActivations, reconstruct, type TrainedSae } from '../../sae/index.ts';
import type { Products } from '../statistics/products.ts';
import type { SaeNorms } from './sae-pruning.ts';

const add = (sums: Float64Array, rows: Float32Array): void => {
  for (let i = 0; i < rows.length; i++) {
    sums[i % sums.length]! += rows[i]! * rows[i]!;
  }
};

/** Sums over blocks of activations; a block's split changes nothing, unlike a mean of norms by batch. */
export class SaeNormSums {
  readonly #sae: TrainedSae;
  readonly #sums: SaeNorms;
  tokens = 0;

  constructor(sae: TrainedSae) {
    const { inputs, width } = sae.parameters;
    if (sae.normalisation || sae.code || sae.pursuit) {
      throw new SextantError(
        'model_unsupported',
        'pruning takes autoencoders of our own variants, on plain activations',
      );
    }
    this.#sae = sae;
    this.#sums = {
      x: new Float64Array(inputs),
      pre: new Float64Array(width),
      codes: new Float64Array(width),
      reconstruction: new Float64Array(inputs),
    };
  }

  /** Adds the rows of x [rows, inputs]; gives their reconstruction back. */
  async add(x: Float32Array, encoder: Encoder, products: Products): Promise<Float32Array> {
    const { parameters: p, subtractBias } = this.#sae;
    const rows = x.length / p.inputs;
    add(this.#sums.x, x);
    const centred = subtractBias ? x.map((value, i) => value - p.decoderBias[i % p.inputs]!) : x;
    const pre = await products.multiply(
      'float32',
      { rows, cols: p.inputs, data: centred },
      { rows: p.width, cols: p.inputs, data: p.encoder },
      { transB: true },
    );
    for (let i = 0; i < pre.length; i++) {
      pre[i]! += p.encoderBias[i % p.width]!;
    }
    add(this.#sums.pre, pre);
    const codes = await encodeActivations(this.#sae, x, encoder);
    for (let entry = 0; entry < codes.values.length; entry++) {
      this.#sums.codes[codes.latents[entry]!]! += codes.values[entry]! ** 2;
    }
    const out = reconstruct(this.#sae, codes);
    add(this.#sums.reconstruction, out);
    this.tokens += rows;
    return out;
  }

  norms(): SaeNorms {
    const { x, pre, codes, reconstruction } = this.#sums;
    const roots = (sums: Float64Array) => sums.map(Math.sqrt);
    return { x: roots(x), pre: roots(pre), codes: roots(codes), reconstruction: roots(reconstruction) };
  }
}
