/** One training step of a token-wise top-k autoencoder in float64, by the formulas, with dense matrices. */
import type { SaeParameters } from '../../../../gpu-worker/sae/codes/parameters.ts';
import { largest, VARIANTS } from '../../../../gpu-worker/sae/codes/variants.ts';
import type { SaeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';

type Group = { encoder: Float64Array; encoderBias: Float64Array; decoder: Float64Array; decoderBias: Float64Array };
const NAMES = ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const;

export class ReferenceTrainer {
  readonly weights: Group;
  readonly #first: Group;
  readonly #second: Group;
  readonly tokensSinceFired: Float64Array;
  readonly #configuration: SaeConfiguration;
  #steps = 0;

  constructor(configuration: SaeConfiguration, start: SaeParameters) {
    this.#configuration = configuration;
    const group = (value: (source: Float32Array) => Float64Array): Group => ({
      encoder: value(start.encoder),
      encoderBias: value(start.encoderBias),
      decoder: value(start.decoder),
      decoderBias: value(start.decoderBias),
    });
    this.weights = group((source) => Float64Array.from(source));
    this.#first = group((source) => new Float64Array(source.length));
    this.#second = group((source) => new Float64Array(source.length));
    this.tokensSinceFired = new Float64Array(configuration.width);
  }

  step(x: ArrayLike<number>, rate: number): { loss: number; total: number } {
    const r = this.#configuration;
    const { inputs: d, width: P } = r;
    const w = this.weights;
    const rows = x.length / d;
    const variant = VARIANTS[r.variant];
    const dead = [...this.tokensSinceFired.keys()].filter((i) => this.tokensSinceFired[i]! >= r.deadTokens);
    const g: Group = {
      encoder: new Float64Array(P * d),
      encoderBias: new Float64Array(P),
      decoder: new Float64Array(P * d),
      decoderBias: new Float64Array(d),
    };
    const fired = new Set<number>();
    let [loss, extra] = [0, 0];
    for (let row = 0; row < rows; row++) {
      const input = Float64Array.from({ length: d }, (_, j) => x[row * d + j]!);
      const seen = input.map((value, j) => value - (r.subtractBias ? w.decoderBias[j]! : 0));
      const u = Float64Array.from({ length: P }, (_, i) => {
        let sum = w.encoderBias[i]!;
        for (let j = 0; j < d; j++) {
          sum += w.encoder[i * d + j]! * seen[j]!;
        }
        return sum;
      });
      const z = variant.prox(u, { k: r.k, lambda: 0 });
      const error = input.map((value, j) => value - w.decoderBias[j]!);
      z.forEach((code, i) => {
        if (code !== 0) {
          fired.add(i);
        }
        for (let j = 0; j < d; j++) {
          error[j]! -= code * w.decoder[i * d + j]!;
        }
      });
      loss += error.reduce((sum, value) => sum + value * value, 0) / rows;
      this.#backward(z, error, seen, 2 / rows, g);
      for (let j = 0; j < d; j++) {
        g.decoderBias[j]! -= (2 / rows) * error[j]!;
      }
      if (r.auxiliaryWeight > 0 && dead.length > 0) {
        const scores = dead.map((i) => (variant.signed ? Math.abs(u[i]!) : u[i]!));
        const codes = new Float64Array(P);
        for (const at of largest(scores, Math.min(r.auxiliaryLatents, dead.length))) {
          const value = u[dead[at]!]!;
          codes[dead[at]!] = variant.signed ? value : Math.max(value, 0);
        }
        const rest = error.slice();
        codes.forEach((code, i) => {
          for (let j = 0; j < d; j++) {
            rest[j]! -= code * w.decoder[i * d + j]!;
          }
        });
        extra += (r.auxiliaryWeight / rows) * rest.reduce((sum, value) => sum + value * value, 0);
        this.#backward(codes, rest, seen, (2 * r.auxiliaryWeight) / rows, g);
      }
    }
    this.#update(g, rate);
    for (let i = 0; i < P; i++) {
      this.tokensSinceFired[i] = fired.has(i) ? 0 : this.tokensSinceFired[i]! + rows;
    }
    return { loss, total: loss + extra };
  }

  #backward(z: Float64Array, error: Float64Array, seen: Float64Array, scale: number, g: Group): void {
    const d = this.#configuration.inputs;
    z.forEach((code, i) => {
      if (code === 0) {
        return;
      }
      let by = 0;
      for (let j = 0; j < d; j++) {
        by -= scale * error[j]! * this.weights.decoder[i * d + j]!;
        g.decoder[i * d + j]! -= scale * code * error[j]!;
      }
      g.encoderBias[i]! += by;
      for (let j = 0; j < d; j++) {
        g.encoder[i * d + j]! += by * seen[j]!;
        if (this.#configuration.subtractBias) {
          g.decoderBias[j]! -= by * this.weights.encoder[i * d + j]!;
        }
      }
    });
  }

  #update(g: Group, rate: number): void {
    const r = this.#configuration;
    const d = r.inputs;
    const rowsOf = (matrix: Float64Array) =>
      Array.from({ length: r.width }, (_, i) => matrix.subarray(i * d, (i + 1) * d));
    if (r.unitRows) {
      rowsOf(g.decoder).forEach((gradient, i) => {
        const row = this.weights.decoder.subarray(i * d, (i + 1) * d);
        const along = gradient.reduce((sum, value, j) => sum + value * row[j]!, 0);
        for (let j = 0; j < d; j++) {
          gradient[j]! -= along * row[j]!;
        }
      });
    }
    const norm = Math.sqrt(NAMES.flatMap((name) => [...g[name]]).reduce((sum, value) => sum + value * value, 0));
    const clip = r.clipNorm === null ? 1 : Math.min(1, r.clipNorm / (norm + 1e-6));
    this.#steps += 1;
    for (const name of NAMES) {
      g[name].forEach((raw, i) => {
        const value = raw * clip;
        const m = r.beta1 * this.#first[name][i]! + (1 - r.beta1) * value;
        const v = r.beta2 * this.#second[name][i]! + (1 - r.beta2) * value * value;
        this.#first[name][i] = m;
        this.#second[name][i] = v;
        const corrected = Math.sqrt(v / (1 - r.beta2 ** this.#steps)) + r.epsilon;
        this.weights[name][i]! -= ((rate / (1 - r.beta1 ** this.#steps)) * m) / corrected;
      });
    }
    if (r.unitRows) {
      for (const row of rowsOf(this.weights.decoder)) {
        const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
        if (length > 0) {
          for (let j = 0; j < d; j++) {
            row[j]! /= length;
          }
        }
      }
    }
  }
}
