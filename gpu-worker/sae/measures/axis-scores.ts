/** How well single latents match axes that are known, with signs. */
import { rowsOf, type SparseCodes } from '../codes/sparse-codes.ts';
import type { HeldOut } from './held-out.ts';

/** Axes of the text with their states, which are known for every held-out sequence by its number. */
export type HeldOutAxes = {
  axes: readonly { name: string; signed: boolean }[];
  states(sequence: number): ArrayLike<number>;
  /** Position in a sequence from which the text depends on the states. */
  from: number;
};

type AxisScore = {
  axis: string;
  signed: boolean;
  latent: number;
  correlation: number;
  positive_latent: number;
  positive_correlation: number;
  negative_latent: number | null;
  negative_correlation: number | null;
  both_poles: boolean;
};

/**
 * A latent carries a pole if it correlates with it at least this share as strongly as the best latent for that pole does.
 * Where all three states are equally frequent, a latent that follows the whole axis has 0.87 of the correlation of one
 * made for a single pole, and the latter has 0.5 of its own at the other pole.
 */
const POLE_SHARE = 0.8;

/**
 * Running sums for Pearson's correlation of every latent's code with every axis and with each of its poles, over tokens.
 * The correlation's sign is the latent's sign on that pole; which latent is best depends on its size alone, so that
 * flipping a latent's sign changes nothing but the reported signs.
 */
export class AxisCorrelations {
  readonly #axes: readonly { name: string; signed: boolean }[];
  readonly #width: number;
  #tokens = 0;
  readonly #codes: Float64Array;
  readonly #squares: Float64Array;
  /** Targets per axis: the state, the positive pole, the negative pole. */
  readonly #targets: Float64Array;
  readonly #targetSquares: Float64Array;
  readonly #products: Float64Array;

  constructor(axes: readonly { name: string; signed: boolean }[], width: number) {
    this.#axes = axes;
    this.#width = width;
    const count = 3 * axes.length;
    this.#codes = new Float64Array(width);
    this.#squares = new Float64Array(width);
    this.#targets = new Float64Array(count);
    this.#targetSquares = new Float64Array(count);
    this.#products = new Float64Array(count * width);
  }

  /** Adds tokens; `states(row)` gives the state of every axis (-1, 0, 1) at that token. */
  add(codes: SparseCodes, states: (row: number) => ArrayLike<number>): void {
    const axes = this.#axes;
    const width = this.#width;
    for (let row = 0; row < codes.rows; row++) {
      const state = states(row);
      const values = axes.flatMap((_, a) => [state[a]!, state[a]! > 0 ? 1 : 0, state[a]! < 0 ? 1 : 0]);
      values.forEach((value, target) => {
        this.#targets[target]! += value;
        this.#targetSquares[target]! += value * value;
      });
      for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
        const [latent, code] = [codes.latents[entry]!, codes.values[entry]!];
        this.#codes[latent]! += code;
        this.#squares[latent]! += code * code;
        values.forEach((value, target) => {
          if (value !== 0) {
            this.#products[target * width + latent]! += code * value;
          }
        });
      }
    }
    this.#tokens += codes.rows;
  }

  /** 0 where one of the two does not vary. */
  #correlation(target: number, latent: number): number {
    const n = this.#tokens;
    const mean = this.#targets[target]! / n;
    const deviation = Math.sqrt(Math.max(this.#targetSquares[target]! / n - mean * mean, 0));
    const code = this.#codes[latent]! / n;
    const spread = Math.sqrt(Math.max(this.#squares[latent]! / n - code * code, 0));
    if (!(spread > 0 && deviation > 0)) {
      return 0;
    }
    return (this.#products[target * this.#width + latent]! / n - mean * code) / (spread * deviation);
  }

  /** The latent of the largest |correlation| with a target; 0 where nothing varies. */
  #best(target: number): { latent: number; correlation: number } {
    let best = { latent: 0, correlation: 0 };
    for (let latent = 0; latent < this.#width; latent++) {
      const correlation = this.#correlation(target, latent);
      if (Math.abs(correlation) > Math.abs(best.correlation)) {
        best = { latent, correlation };
      }
    }
    return best;
  }

  scores(): AxisScore[] {
    return this.#axes.map(({ name, signed }, a) => {
      const whole = this.#best(3 * a);
      const positive = this.#best(3 * a + 1);
      const negative = signed ? this.#best(3 * a + 2) : null;
      const [plus, minus] = [1, 2].map((pole) => this.#correlation(3 * a + pole, whole.latent)) as [number, number];
      const carries = (own: number, { correlation }: { correlation: number }) =>
        Math.abs(own) >= POLE_SHARE * Math.abs(correlation);
      return {
        axis: name,
        signed,
        latent: whole.latent,
        correlation: whole.correlation,
        positive_latent: positive.latent,
        positive_correlation: positive.correlation,
        negative_latent: negative?.latent ?? null,
        negative_correlation: negative?.correlation ?? null,
        both_poles: negative !== null && plus * minus < 0 && carries(plus, positive) && carries(minus, negative),
      };
    });
  }
}

/** Scores of an autoencoder's latents over the tokens from which the text depends on the states. */
export function axisScores(known: HeldOutAxes, held: HeldOut, codes: SparseCodes, width: number): AxisScore[] {
  const rows = [...held.positions.keys()].filter((row) => held.positions[row]! >= known.from);
  const states = new Map<number, ArrayLike<number>>();
  for (const row of rows) {
    const sequence = held.sequences[row]!;
    if (!states.has(sequence)) {
      states.set(sequence, known.states(sequence));
    }
  }
  const correlations = new AxisCorrelations(known.axes, width);
  correlations.add(rowsOf(codes, rows), (i) => states.get(held.sequences[rows[i]!]!)!);
  return correlations.scores();
}
