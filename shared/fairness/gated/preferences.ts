/**
 * Fairness without harm: every learned group should do at least as well with its own head as with the pooled one
 * (rationality) and as with any other group's (envy-freeness); Ustun, Liu, Parkes 2019 for known groups.
 */
import { binomialCdf } from '../../math/special.ts';
import { dataError } from '../data-error.ts';

/**
 * `risks[k * (K + 1) + j]` = mean loss of head j on group k, column K the pooled head; `counts[k]` rows. A group without
 * rows has NaN risks.
 */
export type RiskMatrix = { groups: number; counts: Float64Array; risks: Float64Array };

/** Risk matrix from `losses[j][i]`, the loss of head j (pooled last) on row i, and the rows' groups. */
export function riskMatrix(
  losses: readonly ArrayLike<number>[],
  routed: ArrayLike<number>,
  weights?: ArrayLike<number>,
): RiskMatrix {
  const groups = losses.length - 1;
  const counts = new Float64Array(groups);
  const risks = new Float64Array(groups * losses.length);
  for (let i = 0; i < routed.length; i++) {
    const k = routed[i]!;
    const weight = weights ? weights[i]! : 1;
    if (!(Number.isInteger(k) && k >= 0 && k < groups)) {
      throw dataError('group_unknown', `/routing/routed/${i}`, `group ${k} has no head; there are ${groups}`);
    }
    counts[k]! += weight;
    for (let j = 0; j < losses.length; j++) {
      risks[k * losses.length + j]! += weight * losses[j]![i]!;
    }
  }
  for (let k = 0; k < groups; k++) {
    for (let j = 0; j < losses.length; j++) {
      risks[k * losses.length + j]! /= counts[k]!;
    }
  }
  return { groups, counts, risks };
}

/** Gaps of one learned group: positive means that its own head is preferred. `envy` is null for a single group. */
export type PreferenceGaps = {
  group: number;
  count: number;
  own: number;
  pooled: number;
  rationality: number;
  envy: number | null;
  relativeRationality: number;
};

/** Rationality R_k(h_0) - R_k(h_k) and envy min over j of R_k(h_j) - R_k(h_k) for every group that has rows. */
export function preferenceGaps({ groups, counts, risks }: RiskMatrix): PreferenceGaps[] {
  const out: PreferenceGaps[] = [];
  for (let k = 0; k < groups; k++) {
    if (counts[k] === 0) {
      continue;
    }
    const row = risks.subarray(k * (groups + 1), (k + 1) * (groups + 1));
    const own = row[k]!;
    const pooled = row[groups]!;
    let envy: number | null = null;
    for (let j = 0; j < groups; j++) {
      if (j !== k) {
        envy = Math.min(envy ?? Number.POSITIVE_INFINITY, row[j]! - own);
      }
    }
    out.push({
      group: k,
      count: counts[k]!,
      own,
      pooled,
      rationality: pooled - own,
      envy,
      relativeRationality: (pooled - own) / own,
    });
  }
  return out;
}

/** Share of groups whose gaps are both at least -tolerance, and the worst gap of any kind. */
export function withoutHarm(gaps: readonly PreferenceGaps[], tolerance = 0): { rate: number; worst: number } {
  const worst = gaps.map((gap) => Math.min(gap.rationality, gap.envy ?? Number.POSITIVE_INFINITY));
  return { rate: worst.filter((gap) => gap >= -tolerance).length / gaps.length, worst: Math.min(...worst) };
}

/** Exact one-sided McNemar test that h is worse than another: b rows only h gets wrong, c rows only the other does. */
export const mcnemar = (b: number, c: number): number => binomialCdf(c, b + c, 0.5);
