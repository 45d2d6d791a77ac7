/** First and second moments of each group's rows: all that the moment-based corrections need to know of the data. */
import { add, type Matrix, outer, zeros } from '../math/matrix.ts';
import { dataError } from './data-error.ts';

/** `covariance` (d x d) divides by count - 1. */
export type GroupMoments = { count: number; mean: Float64Array; covariance: Matrix };

/**
 * Moments of each of `groups` groups over the rows (n x d, row-major); `group ids[i]` is row i's group. Raises `data_invalid`
 * (group_too_small) for a group of fewer than two rows, whose covariance does not exist.
 */
export function momentsByGroup(
  rows: Float64Array,
  d: number,
  groupIds: ArrayLike<number>,
  groups: number,
): GroupMoments[] {
  const n = groupIds.length;
  if (rows.length !== n * d) {
    throw dataError('length_mismatch', '', `${n} rows of ${d} need ${n * d} values`);
  }
  const counts = new Float64Array(groups);
  const means = Array.from({ length: groups }, () => new Float64Array(d));
  for (let i = 0; i < n; i++) {
    counts[groupIds[i]!]! += 1;
    const mean = means[groupIds[i]!]!;
    for (let j = 0; j < d; j++) {
      mean[j]! += rows[i * d + j]!;
    }
  }
  means.forEach((mean, g) => {
    if (counts[g]! < 2) {
      throw dataError('group_too_small', '/groups', `group ${g} has ${counts[g]} rows; moments need at least 2`);
    }
    for (let j = 0; j < d; j++) {
      mean[j]! /= counts[g]!;
    }
  });
  const covariances = means.map(() => zeros(d, d));
  const centred = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    const g = groupIds[i]!;
    const mean = means[g]!;
    const sum = covariances[g]!.data;
    for (let j = 0; j < d; j++) {
      centred[j] = rows[i * d + j]! - mean[j]!;
    }
    for (let j = 0; j < d; j++) {
      const value = centred[j]!;
      if (value === 0) {
        continue;
      }
      for (let k = 0; k <= j; k++) {
        sum[j * d + k]! += value * centred[k]!;
      }
    }
  }
  covariances.forEach(({ data }, g) => {
    for (let j = 0; j < d; j++) {
      for (let k = 0; k <= j; k++) {
        const value = data[j * d + k]! / (counts[g]! - 1);
        data[j * d + k] = value;
        data[k * d + j] = value;
      }
    }
  });
  return means.map((mean, g) => ({ count: counts[g]!, mean, covariance: covariances[g]! }));
}

/** Uncentred Gram matrix X^T X of all groups together. */
export function pooledGram(groups: readonly GroupMoments[]): Matrix {
  const d = groups[0]!.mean.length;
  return groups.reduce(
    (sum, g) => add(add(sum, g.covariance, g.count - 1), outer(g.mean, g.mean), g.count),
    zeros(d, d),
  );
}

/** Mean and covariance (dividing by n) of all groups together. */
export function pooledMoments(groups: readonly GroupMoments[]): {
  count: number;
  mean: Float64Array;
  covariance: Matrix;
} {
  const count = groups.reduce((sum, g) => sum + g.count, 0);
  const mean = new Float64Array(groups[0]!.mean.length);
  for (const g of groups) {
    for (let j = 0; j < mean.length; j++) {
      mean[j]! += (g.count / count) * g.mean[j]!;
    }
  }
  const gram = pooledGram(groups);
  return { count, mean, covariance: add({ ...gram, data: gram.data.map((x) => x / count) }, outer(mean, mean), -1) };
}

/** Differences of every pair of groups (a before b): means mu_a - mu_b and covariances C_a - C_b. */
export function pairDifferences(groups: readonly GroupMoments[]): { means: Float64Array[]; covariances: Matrix[] } {
  const means: Float64Array[] = [];
  const covariances: Matrix[] = [];
  groups.forEach((a, i) => {
    for (const b of groups.slice(i + 1)) {
      means.push(a.mean.map((value, j) => value - b.mean[j]!));
      covariances.push(add(a.covariance, b.covariance, -1));
    }
  });
  return { means, covariances };
}
