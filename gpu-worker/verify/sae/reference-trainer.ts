/** Training steps of every variant of autoencoder in float64, by the formulas, with dense matrices and any setting. */
import { type SaeConfiguration, type SaeParameters, VARIANTS } from '../../sae/index.ts';

const NAMES = ['encoder', 'encoderBias', 'decoder', 'decoderBias', 'threshold'] as const;
type Group = Record<(typeof NAMES)[number], Float64Array>;

const groupOf = ({ inputs: d, width: P }: SaeConfiguration): Group => ({
  encoder: new Float64Array(P * d),
  encoderBias: new Float64Array(P),
  decoder: new Float64Array(P * d),
  decoderBias: new Float64Array(d),
  threshold: new Float64Array(P),
});

/** Positions of the k largest scores; equal scores in order of position. */
const largest = (scores: ArrayLike<number>, k: number): number[] =>
  Array.from({ length: scores.length }, (_, i) => i)
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, k);

export class ReferenceTrainer {
  readonly weights: Group;
  readonly #first: Group;
  readonly #second: Group;
  readonly tokensSinceFired: Float64Array;
  readonly #configuration: SaeConfiguration;
  #steps = 0;

  /** @throws RangeError for settings that no formula here covers */
  constructor(configuration: SaeConfiguration, start: SaeParameters) {
    const { logThreshold, matryoshkaPrefixes, iterations, width } = configuration;
    if (logThreshold || matryoshkaPrefixes.length > 0 || iterations > 1) {
      throw new RangeError('thresholds as logarithms, prefixes and several encoder steps are not covered');
    }
    this.#configuration = configuration;
    this.weights = groupOf(configuration);
    for (const name of NAMES) {
      this.weights[name].set(start[name] ?? []);
    }
    this.#first = groupOf(configuration);
    this.#second = groupOf(configuration);
    this.tokensSinceFired = new Float64Array(width);
  }

  /** One step on rows x inputs activations. */
  step(x: ArrayLike<number>, rate: number): { loss: number; total: number } {
    const r = this.#configuration;
    const { inputs: d, width: P } = r;
    const w = this.weights;
    const rows = x.length / d;
    const variant = VARIANTS[r.variant];
    const dead = [...this.tokensSinceFired.keys()].filter((i) => this.tokensSinceFired[i]! >= r.deadTokens);
    const gradient = groupOf(r);
    const seen = Float64Array.from(
      { length: rows * d },
      (_, i) => x[i]! - (r.subtractBias ? w.decoderBias[i % d]! : 0),
    );
    const u = this.#preActivations(seen);
    const z = this.#codes(u);
    const fired = new Set<number>();
    let [loss, extra] = [0, 0];
    for (let row = 0; row < rows; row++) {
      const [input, codes] = [seen.subarray(row * d, (row + 1) * d), z.subarray(row * P, (row + 1) * P)];
      const pre = u.subarray(row * P, (row + 1) * P);
      const aimed = Float64Array.from({ length: d }, (_, j) => x[row * d + j]! - w.decoderBias[j]!);
      const error = this.#rest(aimed, codes);
      for (const [i, code] of codes.entries()) {
        if (code !== 0) {
          fired.add(i);
        }
      }
      loss += error.reduce((sum, value) => sum + value * value, 0) / rows;
      this.#backward({ codes, pre, error, input, scale: 2 / rows, penalty: r.sparsity / rows }, gradient);
      for (let j = 0; j < d; j++) {
        gradient.decoderBias[j]! -= (2 / rows) * error[j]!;
      }
      if (variant.regulariser !== 'at_most_k') {
        const cost = codes.reduce((sum, code) => sum + (variant.regulariser === 'l1' ? code : code !== 0 ? 1 : 0), 0);
        extra += (r.sparsity / rows) * cost;
      }
      if (r.auxiliaryWeight > 0 && dead.length > 0) {
        const scores = dead.map((i) => (variant.signed ? Math.abs(pre[i]!) : pre[i]!));
        const revived = new Float64Array(P);
        for (const at of largest(scores, Math.min(r.auxiliaryLatents, dead.length))) {
          const value = pre[dead[at]!]!;
          revived[dead[at]!] = variant.signed ? value : Math.max(value, 0);
        }
        const rest = this.#rest(error, revived);
        extra += (r.auxiliaryWeight / rows) * rest.reduce((sum, value) => sum + value * value, 0);
        const scale = (2 * r.auxiliaryWeight) / rows;
        this.#backward({ codes: revived, pre: null, error: rest, input, scale, penalty: 0 }, gradient);
      }
    }
    this.#update(gradient, rate);
    for (let i = 0; i < P; i++) {
      this.tokensSinceFired[i] = fired.has(i) ? 0 : this.tokensSinceFired[i]! + rows;
    }
    return { loss, total: loss + extra };
  }

  #preActivations(seen: Float64Array): Float64Array {
    const { inputs: d, width: P } = this.#configuration;
    const w = this.weights;
    return Float64Array.from({ length: (seen.length / d) * P }, (_, at) => {
      const [row, i] = [Math.floor(at / P), at % P];
      let sum = w.encoderBias[i]!;
      for (let j = 0; j < d; j++) {
        sum += w.encoder[i * d + j]! * seen[row * d + j]!;
      }
      return sum;
    });
  }

  /** [rows, latents] as they are in training, where a batch variant chooses over the batch. */
  #codes(u: Float64Array): Float64Array {
    const { variant: name, width: P, k } = this.#configuration;
    const { regulariser, signed, selection } = VARIANTS[name];
    const score = signed ? u.map(Math.abs) : u;
    const value = (at: number) => (signed ? u[at]! : Math.max(u[at]!, 0));
    if (regulariser === 'l1') {
      return u.map((_, at) => value(at));
    }
    if (regulariser === 'l0') {
      return u.map((own, at) => (score[at]! > this.weights.threshold[at % P]! ? own : 0));
    }
    const z = new Float64Array(u.length);
    const block = selection === 'batch' ? u.length : P;
    for (let from = 0; from < u.length; from += block) {
      for (const at of largest(score.subarray(from, from + block), (k * block) / P)) {
        z[from + at] = value(from + at);
      }
    }
    return z;
  }

  #rest(aimed: Float64Array, codes: Float64Array): Float64Array {
    const d = this.#configuration.inputs;
    const rest = aimed.slice();
    codes.forEach((code, i) => {
      for (let j = 0; code !== 0 && j < d; j++) {
        rest[j]! -= code * this.weights.decoder[i * d + j]!;
      }
    });
    return rest;
  }

  /** @param of one row; `pre` where thresholds or a penalty have a part in it */
  #backward(
    of: {
      codes: Float64Array;
      pre: Float64Array | null;
      error: Float64Array;
      input: Float64Array;
      scale: number;
      penalty: number;
    },
    g: Group,
  ): void {
    const { inputs: d, bandwidth, subtractBias, variant: name } = this.#configuration;
    const { regulariser, signed } = VARIANTS[name];
    of.codes.forEach((code, i) => {
      const theta = this.weights.threshold[i]!;
      const own = of.pre?.[i] ?? 0;
      const learns = of.pre !== null && regulariser === 'l0';
      const near = learns && Math.abs((signed ? Math.abs(own) : own) - theta) < bandwidth / 2;
      if (code === 0 && !near) {
        return;
      }
      let by = 0;
      for (let j = 0; j < d; j++) {
        by -= of.scale * of.error[j]! * this.weights.decoder[i * d + j]!;
        g.decoder[i * d + j]! -= of.scale * code * of.error[j]!;
      }
      if (near) {
        g.threshold[i]! -= ((signed ? Math.sign(own) : 1) * by * theta + of.penalty) / bandwidth;
      }
      if (code === 0) {
        return;
      }
      by += of.pre !== null && regulariser === 'l1' ? of.penalty : 0;
      g.encoderBias[i]! += by;
      for (let j = 0; j < d; j++) {
        g.encoder[i * d + j]! += by * of.input[j]!;
        if (subtractBias) {
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
    this.weights.threshold.forEach((value, i, all) => {
      all[i] = Math.max(0, value);
    });
    if (r.unitRows) {
      for (const row of rowsOf(this.weights.decoder)) {
        const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
        for (let j = 0; length > 0 && j < d; j++) {
          row[j]! /= length;
        }
      }
    }
  }
}
