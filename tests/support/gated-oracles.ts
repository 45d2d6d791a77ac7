/** Measures and bounds of fairness without group attributes (arXiv:2509.24077) that its tests compare with. */
import { dataError } from '../../shared/fairness/data-error.ts';
import type { RiskMatrix } from '../../shared/fairness/gated/preferences.ts';

export type DemographicGap = {
  group: number;
  count: number;
  pooled: number;
  served: number;
  /** Pooled risk minus the risk under the served heads; below zero the group is harmed. */
  rationality: number;
  harmed: boolean;
  /** Share of the group's rows in each learned group. */
  routing: Float64Array;
};

/**
 * Rationality gap of every demographic group from the losses of the served and of the pooled predictor (n each), the
 * learned groups and the demographic group ids; `weights` (n) count rows or carry probabilities. Flags gaps below -tolerance.
 */
export function demographicAudit(
  served: ArrayLike<number>,
  pooled: ArrayLike<number>,
  routed: ArrayLike<number>,
  learnedGroups: number,
  groupIds: ArrayLike<number>,
  groups: number,
  { tolerance = 0, weights }: { tolerance?: number; weights?: ArrayLike<number> } = {},
): DemographicGap[] {
  const n = groupIds.length;
  if (served.length !== n || pooled.length !== n || routed.length !== n) {
    throw dataError('length_mismatch', '/groups', `losses, learned groups and demographics must have ${n} values each`);
  }
  const sums = Array.from({ length: groups }, () => ({
    count: 0,
    served: 0,
    pooled: 0,
    routing: new Float64Array(learnedGroups),
  }));
  for (let i = 0; i < n; i++) {
    const sum = sums[groupIds[i]!]!;
    const weight = weights ? weights[i]! : 1;
    sum.count += weight;
    sum.served += weight * served[i]!;
    sum.pooled += weight * pooled[i]!;
    sum.routing[routed[i]!]! += weight;
  }
  return sums.flatMap((sum, group) => {
    if (sum.count === 0) {
      return [];
    }
    const rationality = (sum.pooled - sum.served) / sum.count;
    return [
      {
        group,
        count: sum.count,
        pooled: sum.pooled / sum.count,
        served: sum.served / sum.count,
        rationality,
        harmed: rationality < -tolerance,
        routing: sum.routing.map((x) => x / sum.count),
      },
    ];
  });
}

/**
 * Bound on the harm to one demographic: sum_k pi_k [ (R_k(h_k) - R_k(h_0)) + 2 disc_k ], where pi_k is the share of the
 * demographic in learned group k and disc_k the largest difference, over the head class, between the demographic's risk in
 * group k and that group's.
 */
export function harmBound(
  routing: ArrayLike<number>,
  ownMinusPooled: ArrayLike<number>,
  discrepancy: ArrayLike<number>,
): number {
  let bound = 0;
  for (let k = 0; k < routing.length; k++) {
    if (routing[k]! > 0) {
      bound += routing[k]! * (ownMinusPooled[k]! + 2 * discrepancy[k]!);
    }
  }
  return bound;
}

/** sup over the given heads of |risk on the demographic's rows in group k - risk on group k|, for every k. */
export function discrepancies(
  losses: readonly ArrayLike<number>[],
  routed: ArrayLike<number>,
  learnedGroups: number,
  groupIds: ArrayLike<number>,
  group: number,
  weights?: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(learnedGroups);
  for (const loss of losses) {
    const sums = new Float64Array(4 * learnedGroups);
    for (let i = 0; i < routed.length; i++) {
      const at = 4 * routed[i]!;
      const weight = weights ? weights[i]! : 1;
      sums[at]! += weight;
      sums[at + 1]! += weight * loss[i]!;
      if (groupIds[i] !== group) {
        continue;
      }
      sums[at + 2]! += weight;
      sums[at + 3]! += weight * loss[i]!;
    }
    for (let k = 0; k < learnedGroups; k++) {
      if (sums[4 * k + 2]! > 0) {
        out[k] = Math.max(out[k]!, Math.abs(sums[4 * k + 3]! / sums[4 * k + 2]! - sums[4 * k + 1]! / sums[4 * k]!));
      }
    }
  }
  return out;
}

/** The same for heads decoupled by known groups of the given sizes; one size is the pooled predictor. */
export function decoupledDeviation(sizes: readonly number[], headDimension: number, delta = 0.05): number {
  const n = sizes.reduce((sum, size) => sum + size, 0);
  return sizes.reduce((sum, size) => {
    const inner = headDimension * Math.log((2 * Math.E * size) / headDimension) + Math.log((4 * sizes.length) / delta);
    return sum + (size / n) * Math.sqrt((8 / size) * inner);
  }, 0);
}

/** Ustun's partition score: per group, 4 exp(-n D^2 / 2) summed over D = own risk minus pooled and minus each other's. */
export function partitionScores({ groups, counts, risks }: RiskMatrix): Float64Array {
  return Float64Array.from({ length: groups }, (_, k) => {
    let score = 0;
    const row = risks.subarray(k * (groups + 1), (k + 1) * (groups + 1));
    for (let j = 0; j <= groups; j++) {
      if (j !== k) {
        score += 4 * Math.exp((-counts[k]! * (row[k]! - row[j]!) ** 2) / 2);
      }
    }
    return score;
  });
}
