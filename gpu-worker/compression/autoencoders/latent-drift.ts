/**
 * What became of each latent when the model below it was compressed: the same autoencoder's codes on the same tokens, on the
 * dense and on the compressed activations.
 */
import type { SparseCodes } from '../../sae/index.ts';

/** r at or above which a latent counts as surviving (after arXiv:2606.03002). */
const SURVIVES = 0.9;
/** Drifted latents that are described. */
const DESCRIBED = 20;
const TOP_TOKENS = 5;

type Drift = {
  latent: number;
  /** died: silent on the compressed activations; rotated: still active, but on other tokens. */
  fate: 'died' | 'rotated';
  correlation: number;
  /** The latent whose code on the compressed activations is most like this one's before, where it is another. */
  taken_over_by: number | null;
  taken_over_correlation: number | null;
  tokens_before: string[];
  tokens_after: string[];
};

export type LatentDrift = {
  /** Latents active on the dense activations. */
  alive: number;
  alive_after: number;
  died: number;
  /** Pearson correlation of each latent that is active before, falling. */
  correlations: number[];
  survival: number;
  /** Mean Jaccard overlap of the sets of active latents, over tokens. */
  overlap: number;
  drifted: Drift[];
};

type Moments = { sum: Float64Array; square: Float64Array };

/** @param textOf the text of the token at a row */
export function latentDrift(
  before: SparseCodes,
  after: SparseCodes,
  width: number,
  textOf: (row: number) => string,
): LatentDrift {
  const [a, b] = [moments(before, width), moments(after, width)];
  const cross = new Float64Array(width);
  let overlap = 0;
  for (let row = 0; row < before.rows; row++) {
    const own = entriesOf(before, row);
    const other = entriesOf(after, row);
    let shared = 0;
    for (const [latent, value] of own) {
      const there = other.get(latent);
      if (there === undefined) {
        continue;
      }
      shared++;
      cross[latent]! += value * there;
    }
    const union = own.size + other.size - shared;
    overlap += union === 0 ? 1 : shared / union;
  }
  const n = before.rows;
  const pearson = (i: number, j: number, product: number): number => {
    const covariance = product - (a.sum[i]! * b.sum[j]!) / n;
    const spread = Math.sqrt((a.square[i]! - a.sum[i]! ** 2 / n) * (b.square[j]! - b.sum[j]! ** 2 / n));
    return spread > 0 ? covariance / spread : 0;
  };
  const alive = Array.from({ length: width }, (_, latent) => latent).filter((latent) => a.square[latent]! > 0);
  const correlations = new Map(alive.map((latent) => [latent, pearson(latent, latent, cross[latent]!)]));
  const fallen = alive
    .filter((latent) => correlations.get(latent)! < SURVIVES)
    .sort((x, y) => correlations.get(x)! - correlations.get(y)! || a.square[y]! - a.square[x]!)
    .slice(0, DESCRIBED);
  const drifted = fallen.map((latent): Drift => {
    const products = productsWith(before, after, width, latent);
    let [best, strength] = [-1, 0];
    for (let other = 0; other < width; other++) {
      if (other === latent || products[other] === 0) {
        continue;
      }
      const r = pearson(latent, other, products[other]!);
      if (Math.abs(r) > Math.abs(strength)) {
        [best, strength] = [other, r];
      }
    }
    const own = correlations.get(latent)!;
    const taken = best >= 0 && Math.abs(strength) > Math.abs(own);
    return {
      latent,
      fate: b.square[latent] === 0 ? 'died' : 'rotated',
      correlation: own,
      taken_over_by: taken ? best : null,
      taken_over_correlation: taken ? strength : null,
      tokens_before: topTokens(before, latent, textOf),
      tokens_after: topTokens(after, latent, textOf),
    };
  });
  const sorted = [...correlations.values()].sort((x, y) => y - x);
  return {
    alive: alive.length,
    alive_after: b.square.reduce((count, square) => count + (square > 0 ? 1 : 0), 0),
    died: alive.filter((latent) => b.square[latent] === 0).length,
    correlations: sorted,
    survival: alive.length > 0 ? sorted.filter((r) => r >= SURVIVES).length / alive.length : 0,
    overlap: n > 0 ? overlap / n : 0,
    drifted,
  };
}

/** Mean Jaccard overlap of the active latents of two sets of codes on the same tokens. */
export function supportOverlap(a: SparseCodes, b: SparseCodes): number {
  let total = 0;
  for (let row = 0; row < a.rows; row++) {
    const [own, other] = [entriesOf(a, row), entriesOf(b, row)];
    const shared = [...own.keys()].filter((latent) => other.has(latent)).length;
    const union = own.size + other.size - shared;
    total += union === 0 ? 1 : shared / union;
  }
  return a.rows > 0 ? total / a.rows : 0;
}

function moments({ latents, values }: SparseCodes, width: number): Moments {
  const [sum, square] = [new Float64Array(width), new Float64Array(width)];
  for (let entry = 0; entry < values.length; entry++) {
    sum[latents[entry]!]! += values[entry]!;
    square[latents[entry]!]! += values[entry]! ** 2;
  }
  return { sum, square };
}

function entriesOf({ starts, latents, values }: SparseCodes, row: number): Map<number, number> {
  const found = new Map<number, number>();
  for (let entry = starts[row]!; entry < starts[row + 1]!; entry++) {
    if (values[entry] !== 0) {
      found.set(latents[entry]!, values[entry]!);
    }
  }
  return found;
}

/** Sum over tokens of one latent's code before times every latent's code after. */
function productsWith(before: SparseCodes, after: SparseCodes, width: number, latent: number): Float64Array {
  const out = new Float64Array(width);
  for (let row = 0; row < before.rows; row++) {
    const own = entriesOf(before, row).get(latent);
    if (own === undefined) {
      continue;
    }
    for (let entry = after.starts[row]!; entry < after.starts[row + 1]!; entry++) {
      out[after.latents[entry]!]! += own * after.values[entry]!;
    }
  }
  return out;
}

/** Texts of the tokens with the largest codes, different ones, strongest first. */
function topTokens(codes: SparseCodes, latent: number, textOf: (row: number) => string): string[] {
  const found: [size: number, row: number][] = [];
  for (let row = 0; row < codes.rows; row++) {
    for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
      if (codes.latents[entry] === latent && codes.values[entry] !== 0) {
        found.push([Math.abs(codes.values[entry]!), row]);
      }
    }
  }
  found.sort((a, b) => b[0] - a[0]);
  return [...new Set(found.map(([, row]) => textOf(row)))].slice(0, TOP_TOKENS);
}
