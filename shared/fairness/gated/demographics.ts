/** Mutual information I(g; Z) in nats between learned groups and demographics: how far the gate rebuilds Z. */
export function mutualInformation(
  routed: ArrayLike<number>,
  learnedGroups: number,
  groupIds: ArrayLike<number>,
  groups: number,
): number {
  const joint = new Float64Array(learnedGroups * groups);
  const n = groupIds.length;
  for (let i = 0; i < n; i++) {
    joint[routed[i]! * groups + groupIds[i]!]! += 1 / n;
  }
  const [left, right] = [new Float64Array(learnedGroups), new Float64Array(groups)];
  joint.forEach((p, at) => {
    left[Math.floor(at / groups)]! += p;
    right[at % groups]! += p;
  });
  let total = 0;
  joint.forEach((p, at) => {
    if (p > 0) {
      total += p * Math.log(p / (left[Math.floor(at / groups)]! * right[at % groups]!));
    }
  });
  return Math.max(0, total);
}

/**
 * Natarajan dimension, at most, of a linear gate over `groups` labels: only differences of its scores decide, and those are
 * linear in (groups - 1) (features + 1) weights (Shalev-Shwartz and Ben-David 2014, theorem 29.7).
 */
export const linearGateDimension = (groups: number, features: number): number => (groups - 1) * (features + 1);

/** Logarithm of how many ways a class of this dimension labels m points at most: Sauer's lemma, and all ways at the most. */
const logGrowth = (m: number, dimension: number): number =>
  Math.min(dimension < m ? dimension * Math.log((Math.E * m) / dimension) : m, m * Math.LN2);

/**
 * Uniform deviation of empirical from true risk with probability 1 - delta, for n rows, a gate class of Natarajan dimension
 * `gateDimension` over `groups` labels and heads of VC dimension `headDimension` (a loose VC argument).
 */
export const gatedDeviation = (
  n: number,
  groups: number,
  gateDimension: number,
  headDimension: number,
  delta = 0.05,
): number =>
  Math.sqrt(
    (8 / n) *
      (gateDimension * Math.log(2 * n) +
        2 * gateDimension * Math.log(groups) +
        groups * logGrowth(2 * n, headDimension) +
        Math.log(4 / delta)),
  );
