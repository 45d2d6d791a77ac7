/** Random directions, applied as the one that is claimed to matter: where chance ends. */
import { stream } from '../../shared/math/random.ts';
import { unitVector } from './difference-in-means.ts';

export type Band = { low: number; high: number; mean: number; directions: number };

export const randomUnits = (seed: number, name: string, count: number, width: number): Float32Array[] =>
  Array.from({ length: count }, (_, i) => unitVector(stream(seed, `${name}/${i}`).normal(width)));

/** The central 95 % of values by rank: of 39 the lowest and the highest, beyond which chance puts one in forty each. */
export function centralBand(values: readonly number[]): Band {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.max(1, Math.floor(0.025 * (sorted.length + 1)));
  return {
    low: sorted[cut - 1]!,
    high: sorted[sorted.length - cut]!,
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    directions: sorted.length,
  };
}
