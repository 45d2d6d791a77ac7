/** How well a direction tells states before a reflection from others, on problems that it was not learned from. */
import { stream } from '../../../shared/math/random.ts';
import { areaUnderCurve, cosine, dot, meanRow, norm, projectionsOf } from '../vectors.ts';
import { differenceOfMeans, effectiveRank, firstComponent, logisticProbe, type States } from './directions.ts';

const ESTIMATORS = ['difference_in_means', 'first_component', 'probe'] as const;
export type Estimator = (typeof ESTIMATORS)[number];

/** Penalty of the probe, and rows of which components and ranks are taken at most: they cost their cube. */
const [L2, ROWS] = [0.01, 400];

export function directionBy(estimator: Estimator, states: States): Float64Array {
  switch (estimator) {
    case 'difference_in_means':
      return differenceOfMeans(states);
    case 'first_component':
      return firstComponent(capped(states), 'pooled');
    case 'probe':
      return logisticProbe(states, L2).weight;
    default:
      return estimator satisfies never;
  }
}

/** The first rows of both sets: places come in random order of problems. */
function capped({ reflecting, other, width }: States): States {
  return { reflecting: reflecting.slice(0, ROWS * width), other: other.slice(0, ROWS * width), width };
}

const aucOf = ({ reflecting, other }: States, direction: ArrayLike<number>): number =>
  areaUnderCurve(projectionsOf(reflecting, direction), projectionsOf(other, direction));

export type Separability = {
  hook: string;
  norm: number;
  auc: Record<Estimator, number>;
  /** Held-out areas of differences of means with shuffled labels: mean, and the largest distance from a half. */
  null: { mean: number; furthest: number; shuffles: number };
  effective_rank: { reflecting: number; other: number };
  /** Mean projection on the unit vector, before reflections and elsewhere: says which way scaling the projection pushes. */
  projection: { reflecting: number; other: number };
  /** With the rows of the unembedding of the triggers. */
  unembedding: number[];
};

export function separability(
  hook: string,
  train: States,
  test: States,
  { shuffles, seed, unembedding }: { shuffles: number; seed: number; unembedding: readonly ArrayLike<number>[] },
): Separability {
  const { width } = train;
  if (noDifference(train)) {
    return blank(hook, unembedding.length);
  }
  const means = differenceOfMeans(train);
  const null_areas = Array.from({ length: shuffles }, (_, i) =>
    aucOf(test, differenceOfMeans(shuffled(train, seed, i))),
  );
  const small = capped(train);
  const size = norm(means);
  const along = (x: Float64Array) => dot(meanRow(x, width), means) / size;
  return {
    hook,
    norm: size,
    auc: Object.fromEntries(
      ESTIMATORS.map((estimator) => [estimator, aucOf(test, directionBy(estimator, train))]),
    ) as Record<Estimator, number>,
    null: {
      mean: null_areas.reduce((sum, value) => sum + value, 0) / Math.max(1, shuffles),
      furthest: Math.max(0, ...null_areas.map((value) => Math.abs(value - 0.5))),
      shuffles,
    },
    effective_rank: {
      reflecting: effectiveRank(small.reflecting, width),
      other: effectiveRank(small.other, width),
    },
    projection: { reflecting: along(train.reflecting), other: along(train.other) },
    unembedding: unembedding.map((row) => cosine(means, row)),
  };
}

/** Where all states are the same, as embeddings of one token are, there is nothing to separate. */
export function noDifference({ reflecting, other, width }: States): boolean {
  const all = [reflecting, other];
  return all.every((x) => x.every((value, i) => Math.abs(value - reflecting[i % width]!) <= 1e-6));
}

const blank = (hook: string, triggers: number): Separability => ({
  hook,
  norm: 0,
  auc: { difference_in_means: 0.5, first_component: 0.5, probe: 0.5 },
  null: { mean: 0.5, furthest: 0, shuffles: 0 },
  effective_rank: { reflecting: 1, other: 1 },
  projection: { reflecting: 0, other: 0 },
  unembedding: new Array<number>(triggers).fill(0),
});

/** The same states with labels at random. */
function shuffled({ reflecting, other, width }: States, seed: number, index: number): States {
  const all = Float64Array.from([...reflecting, ...other]);
  const order = stream(seed, `reflection/shuffle/${index}`).permutation(all.length / width);
  const take = (rows: Uint32Array) => {
    const out = new Float64Array(rows.length * width);
    for (const [i, row] of rows.entries()) {
      out.set(all.subarray(row * width, (row + 1) * width), i * width);
    }
    return out;
  };
  const count = reflecting.length / width;
  return { reflecting: take(order.subarray(0, count)), other: take(order.subarray(count)), width };
}
