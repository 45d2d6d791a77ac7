/** Fairness between people rather than groups: inequality of what they receive, and whether neighbours are treated alike. */
import { dataError } from '../data-error.ts';

/**
 * Generalised entropy of benefits b >= 0 (Speicher et al. 2018), with mean m over weighted rows: mean of
 * ((b/m)^alpha - 1) / (alpha (alpha - 1)); for alpha = 1 (Theil) the mean of b/m ln(b/m), for alpha = 0 of -ln(b/m). 0 where
 * all receive the same; NaN where nobody receives anything, or for alpha = 0 where somebody receives nothing.
 */
export function generalizedEntropy(benefits: ArrayLike<number>, weights: ArrayLike<number>, alpha: number): number {
  let [total, sum] = [0, 0];
  for (let i = 0; i < benefits.length; i++) {
    total += weights[i]!;
    sum += weights[i]! * benefits[i]!;
  }
  const mean = sum / total;
  let entropy = 0;
  for (let i = 0; i < benefits.length; i++) {
    const share = benefits[i]! / mean;
    if (alpha === 1) {
      entropy += share > 0 ? weights[i]! * share * Math.log(share) : 0;
    } else if (alpha === 0) {
      entropy -= weights[i]! * Math.log(share);
    } else {
      entropy += weights[i]! * (share ** alpha - 1);
    }
  }
  const scale = alpha === 0 || alpha === 1 ? 1 : alpha * (alpha - 1);
  return entropy / (total * scale);
}

/** What a decision gives a person (Speicher et al. 2018): 1 where it is right, 2 for a false positive, 0 for a false negative. */
export const benefitOf = (decision: number, label: number): number => decision - label + 1;

/**
 * |outcome - mean outcome of the nearest rows| of every row: consistency is 1 minus its mean (Zemel et al. 2013). Nearest by
 * Euclidean distance of the features as given, the row itself among them; of equally near rows the earlier.
 *
 * @param features - one column each, all as long as `outcomes`
 */
export function inconsistencies(
  outcomes: ArrayLike<number>,
  features: readonly ArrayLike<number>[],
  neighbours: number,
): Float64Array {
  const n = outcomes.length;
  if (neighbours > n) {
    throw dataError(
      'value_out_of_range',
      '/consistency/neighbours',
      `${neighbours} neighbours in ${n} rows; at most ${n}`,
    );
  }
  const d = features.length;
  const rows = new Float64Array(n * d);
  features.forEach((column, j) => {
    for (let i = 0; i < n; i++) {
      rows[i * d + j] = column[i]!;
    }
  });
  const nearest = new Float64Array(neighbours);
  const at = new Uint32Array(neighbours);
  return Float64Array.from({ length: n }, (_, i) => {
    nearest.fill(Number.POSITIVE_INFINITY);
    let farthest = Number.POSITIVE_INFINITY;
    for (let k = 0; k < n; k++) {
      let distance = 0;
      for (let j = 0; j < d && distance < farthest; j++) {
        distance += (rows[i * d + j]! - rows[k * d + j]!) ** 2;
      }
      if (!(distance < farthest)) {
        continue;
      }
      let place = neighbours - 1;
      for (; place > 0 && nearest[place - 1]! > distance; place--) {
        nearest[place] = nearest[place - 1]!;
        at[place] = at[place - 1]!;
      }
      nearest[place] = distance;
      at[place] = k;
      farthest = nearest[neighbours - 1]!;
    }
    const mean = at.reduce((sum, k) => sum + outcomes[k]!, 0) / neighbours;
    return Math.abs(outcomes[i]! - mean);
  });
}
