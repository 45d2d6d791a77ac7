/** What an autoencoder of another library is read from: its configuration and its tensors, each accounted for. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import { transpose } from './saelens.ts';

export type Config = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Config =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const invalid = (detail: string): SextantError => new SextantError('data_invalid', detail);
/** For kinds of autoencoders that are not among those that can be applied here. */
export const unsupported = (detail: string): SextantError => new SextantError('model_unsupported', detail);

/** A tensor by name, as float32. */
export type TensorFile = {
  names: readonly string[];
  shape(name: string): readonly number[];
  values(name: string): Float32Array;
};

/** What configurations call the number of inputs, and of latents. */
const INPUT_FIELDS = ['d_in', 'activation_dim', 'n_inputs'];
const WIDTH_FIELDS = ['d_sae', 'dict_size', 'num_latents', 'n_latents'];

/** Fields and tensors that were asked for are remembered; `finish` refuses the rest. */
export class SaeSource {
  readonly config: Config;
  readonly #file: TensorFile;
  readonly #fields = new Set<string>();
  readonly #tensors = new Set<string>();

  constructor(config: Config, file: TensorFile) {
    this.config = config;
    this.#file = file;
  }

  has = (name: string): boolean => this.#file.names.includes(name);

  get names(): readonly string[] {
    return this.#file.names;
  }

  /** The value of a field; undefined where it is absent or null. */
  field(name: string): unknown {
    this.#fields.add(name);
    return this.config[name] ?? undefined;
  }

  /** A switch, which must be true or false where it is written. */
  flag(name: string, fallback: boolean): boolean {
    const value = this.field(name) ?? fallback;
    if (typeof value !== 'boolean') {
      throw invalid(`'${name}' must be true or false, it is ${JSON.stringify(value)}`);
    }
    return value;
  }

  /** How many codes are kept, from the configuration, or a tensor that must say the same. */
  k(name = 'k'): number {
    const written = this.field(name);
    const stored = this.has(name) ? this.tensor(name, [])[0] : undefined;
    if (written !== undefined && stored !== undefined && written !== stored) {
      throw invalid(`the configuration has ${name} = ${String(written)} and the tensor '${name}' holds ${stored}`);
    }
    const k = written ?? stored;
    if (typeof k !== 'number' || !Number.isInteger(k) || k < 1) {
      throw invalid(`a code of the k largest needs a positive integer k in the configuration`);
    }
    return k;
  }

  /** A tensor of this shape; one value stands for a vector of it where `spread`. */
  tensor(name: string, shape: readonly number[], spread = false): Float32Array {
    const found = this.shape(name);
    const values = this.#file.values(name).slice();
    const size = shape.reduce((product, n) => product * n, 1);
    if (spread && values.length === 1) {
      return new Float32Array(size).fill(values[0]!);
    }
    if (found.length !== shape.length || found.some((n, i) => n !== shape[i])) {
      throw invalid(`${name} must have the shape [${shape}], it has [${found}]`);
    }
    return values;
  }

  shape(name: string): readonly number[] {
    if (!this.has(name)) {
      throw invalid(`the weights have no tensor '${name}'; they have ${this.names.slice(0, 12)}`);
    }
    this.#tensors.add(name);
    return this.#file.shape(name);
  }

  /** A tensor of three dimensions. */
  rank3(name: string): { shape: readonly [number, number, number]; values: Float32Array } {
    const [first, second, third, ...more] = this.shape(name);
    if (first === undefined || second === undefined || third === undefined || more.length > 0) {
      throw invalid(`${name} must have three dimensions, its shape is [${this.shape(name)}]`);
    }
    return { shape: [first, second, third], values: this.tensor(name, [first, second, third]) };
  }

  /** A tensor that changes nothing here. */
  passOver(...names: string[]): void {
    for (const name of names) {
      this.#tensors.add(name);
    }
  }

  /** The four arrays; names as the layout has them, and whether the rows of its matrices are latents. */
  parameters(names: {
    encoder: readonly [name: string, rowPerLatent: boolean];
    decoder: readonly [name: string, rowPerLatent: boolean];
    encoderBias: string;
    decoderBias: string;
  }): SaeParameters {
    const matrix = ([name, rowPerLatent]: readonly [string, boolean], of?: { width: number; inputs: number }) => {
      const shape = this.shape(name);
      if (shape.length !== 2) {
        throw invalid(`${name} must be a matrix, its shape is [${shape}]`);
      }
      const [width, inputs] = (rowPerLatent ? shape : [shape[1]!, shape[0]!]) as [number, number];
      if (of && (of.width !== width || of.inputs !== inputs)) {
        throw invalid(`encoder and decoder disagree: ${of.width} x ${of.inputs} and ${width} x ${inputs}`);
      }
      const values = this.tensor(name, shape);
      return { width, inputs, values: rowPerLatent ? values : transpose(values, inputs, width) };
    };
    const encoder = matrix(names.encoder);
    const decoder = matrix(names.decoder, encoder);
    const { width, inputs } = encoder;
    this.requireSizes(encoder);
    return {
      width,
      inputs,
      encoder: encoder.values,
      encoderBias: this.tensor(names.encoderBias, [width]),
      decoder: decoder.values,
      decoderBias: this.tensor(names.decoderBias, [inputs]),
      threshold: null,
    };
  }

  /** Sizes that the configuration says must be those of the tensors; 0, as some write, says nothing. */
  requireSizes({ width, inputs }: { width: number; inputs: number }): void {
    for (const [names, size] of [
      [INPUT_FIELDS, inputs],
      [WIDTH_FIELDS, width],
    ] as const) {
      const other = names.find(
        (name) => typeof this.config[name] === 'number' && ![0, size].includes(this.config[name]),
      );
      if (other) {
        throw invalid(`the configuration has ${other} = ${this.config[other]}, the tensors have ${size}`);
      }
    }
  }

  /**
   * @param harmless fields that say where an autoencoder comes from, or how it was trained
   * @throws SextantError `model_unsupported` naming fields and tensors that nobody read
   */
  finish(layout: string, harmless: ReadonlySet<string>): void {
    const fields = Object.keys(this.config).filter(
      (name) => this.config[name] !== null && !this.#fields.has(name) && !harmless.has(name),
    );
    if (fields.length > 0) {
      throw unsupported(`fields of a ${layout} autoencoder that are not known: ${fields.slice(0, 8).join(', ')}`);
    }
    const tensors = this.names.filter((name) => !this.#tensors.has(name));
    if (tensors.length > 0) {
      throw unsupported(`tensors that a ${layout} autoencoder of this kind does not read: ${tensors.slice(0, 8)}`);
    }
  }
}

/** Words of a list. */
export const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Codes times the norms of their decoder rows, with unit rows: the same reconstruction. */
export function unitRows(p: SaeParameters): SaeParameters {
  const [encoder, decoder, encoderBias] = [p.encoder.slice(), p.decoder.slice(), p.encoderBias.slice()];
  const threshold = p.threshold?.slice() ?? null;
  for (let i = 0; i < p.width; i++) {
    const row = decoder.subarray(i * p.inputs, (i + 1) * p.inputs);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (!(norm > 0)) {
      continue;
    }
    encoderBias[i]! *= norm;
    if (threshold) {
      threshold[i]! *= norm;
    }
    for (let j = 0; j < p.inputs; j++) {
      encoder[i * p.inputs + j]! *= norm;
      row[j]! /= norm;
    }
  }
  return { ...p, encoder, decoder, encoderBias, threshold };
}
