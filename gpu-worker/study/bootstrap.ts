/**
 * Bootstrap over the units that were drawn: prompts, documents, sequences. Tokens of one text are not independent, so
 * whole units are drawn again.
 */
import type { RandomStream } from '../../shared/math/random.ts';
import { bootstrapIntervals, type Interval, percentileIntervals } from '../../shared/math/resample.ts';

type UnitBootstrap = {
  /** [units, parts]: what adds up over a unit, such as its number of tokens and the sum of their losses. */
  sums: Float64Array;
  parts: number;
  /** Number of measures. */
  size: number;
  /** Writes the measures of the summed parts of all units that were drawn. */
  measures(sums: Float64Array, out: Float64Array): void;
  random: RandomStream;
  draws?: number;
  /** Coverage, such as 0.95. */
  level?: number;
  /** Percentiles of the draws, or bias-corrected and accelerated (Efron 1987). */
  kind?: 'percentile' | 'bca';
};

const DRAWS = 1000;

/** An interval for each measure; null for a single unit, which says nothing of how others would differ. */
export function bootstrapOverUnits(options: UnitBootstrap): Interval[] | null {
  const { sums, parts, size, measures, random, draws = DRAWS, level = 0.95, kind = 'percentile' } = options;
  const units = sums.length / parts;
  if (units < 2) {
    return null;
  }
  const intervals = kind === 'bca' ? bootstrapIntervals : percentileIntervals;
  return intervals({
    strata: [units],
    size,
    draws,
    random,
    level,
    evaluate(weights, out) {
      const total = new Float64Array(parts);
      for (let unit = 0; unit < units; unit++) {
        const weight = weights[unit]!;
        if (weight === 0) {
          continue;
        }
        for (let part = 0; part < parts; part++) {
          total[part]! += weight * sums[unit * parts + part]!;
        }
      }
      measures(total, out);
    },
  });
}
