/** Cosines between the rows of a decoder: what is like a latent, and what opposes it. */
import type { Encoder } from '../codes/encoder.ts';
import type { SaeParameters } from '../codes/parameters.ts';

export type DecoderCosines = {
  /** AP(rho): share of latents with some other decoder row at a cosine of at most -rho. */
  antipodal: number;
  /** Mean and largest over latents of the largest |cosine| with another row. */
  meanNearest: number;
  largest: number;
};

/** Another row with its cosine, signed. */
type Neighbour = { latent: number; cosine: number };

/** Cosines that are formed at once. */
const CHUNK_ELEMENTS = 1 << 22;
type Rows = Pick<SaeParameters, 'decoder' | 'inputs' | 'width'>;

/**
 * The `count` rows with the largest |cosine| to each row, equal ones in the order of their numbers, and the least cosine of
 * each; O(width^2 inputs). Rows of zeros have no direction: they are near nothing.
 */
export async function neighbours(
  { decoder, inputs, width }: Rows,
  count: number,
  encoder: Encoder,
): Promise<{ nearest: Neighbour[][]; least: Float32Array }> {
  const unit = new Float32Array(decoder.length);
  const zero = new Set<number>();
  for (let i = 0; i < width; i++) {
    const row = decoder.subarray(i * inputs, (i + 1) * inputs);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (norm > 0) {
      for (let j = 0; j < inputs; j++) {
        unit[i * inputs + j] = row[j]! / norm;
      }
    } else {
      zero.add(i);
    }
  }
  // Each row is its own nearest.
  const k = Math.min(width, count + 1);
  const bias = new Float32Array(width);
  const nearest: Neighbour[][] = [];
  const least = new Float32Array(width);
  const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / width));
  for (let first = 0; first < width; first += step) {
    const rows = Math.min(step, width - first);
    const x = unit.subarray(first * inputs, (first + rows) * inputs);
    const found = await encoder.extremes({ x, rows, inputs, encoder: unit, bias }, k);
    for (let i = 0; i < rows; i++) {
      const own = first + i;
      least[own] = found.least[i]!;
      const others = Array.from({ length: k }, (_, j) => ({
        latent: found.latents[i * k + j]!,
        cosine: Math.min(1, Math.max(-1, found.values[i * k + j]!)),
      })).filter(({ latent }) => latent !== own && !zero.has(latent));
      nearest.push(zero.has(own) ? [] : others.slice(0, count));
    }
  }
  return { nearest, least };
}

export async function decoderCosines(rows: Rows, encoder: Encoder, rho = 0.95): Promise<DecoderCosines> {
  const { nearest, least } = await neighbours(rows, 1, encoder);
  const closest = nearest.map(([one]) => Math.abs(one?.cosine ?? 0));
  return {
    antipodal: least.filter((cosine) => cosine <= -rho).length / rows.width,
    meanNearest: closest.reduce((sum, value) => sum + value, 0) / rows.width,
    largest: closest.reduce((most, value) => Math.max(most, value), 0),
  };
}
