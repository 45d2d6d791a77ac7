/** The points of a comparison: which method with which strength, for which tile and seed, and the method that each stands for. */
import type { SPARSE_METHODS } from '../../../shared/contracts/block-sparse.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { criticalLambda } from '../layer/critical-lambda.ts';
import { denseMethod, groupLassoMethod } from '../methods/dense.ts';
import { type Decay, kroneckerMethod } from '../methods/kronecker.ts';
import { pruningMethod, rigLMethod } from '../methods/masked.ts';
import type { LinearLayer, Method } from '../methods/method.ts';
import type { PenaltyPlan } from '../methods/penalty.ts';
import { sizeSearchMethod } from '../methods/size-search.ts';
import type { Tile } from '../tiles/tiles.ts';
import { type OptimiserSpec, runRate } from '../training/run.ts';

export type MethodName = (typeof SPARSE_METHODS)[number];

/** `lambda` is absolute; `sparsity` is the share of tiles to be zero. Those that a method has no use for are null. */
export type Point = { method: MethodName; tile: Tile; lambda: number | null; sparsity: number | null; seed: number };

export type Plan = {
  methods: readonly MethodName[];
  tiles: readonly Tile[];
  rank: number;
  /** In units of the critical penalty, for the masked Kronecker sums. */
  lambda: readonly number[];
  /** As they are, for these and for the lassos. */
  lambdaAbsolute: readonly number[];
  sparsity: readonly number[];
  /** Group penalty of the search for a tile size. */
  groupLambda: number;
  seeds: readonly number[];
  steps: number;
  debiasSteps: number;
  rate: number;
  optimiser: OptimiserSpec;
  ramp: number;
  freezeFrom: number;
  decay: Decay;
  /** Deviation of the entries of W at the start, times the root of the inputs: of dense weights, and of Kronecker sums. */
  gain: number;
  kroneckerGain: number;
  build: boolean;
};

/** The learning rates of the penalised steps. */
const rates = (plan: Pick<Plan, 'rate' | 'steps' | 'debiasSteps'>): number[] =>
  Array.from({ length: plan.steps }, (_, k) => runRate(plan)(k + 1));

/** Adam divides each move by the gradient's size, so no momentum multiplies it. */
const effectiveMomentum = ({ kind, momentum }: OptimiserSpec): number => (kind === 'adam' ? 0 : momentum);

/** The unit of `lambda` and the sum of learning rates it follows from. */
export function penaltyUnit(plan: Pick<Plan, 'rate' | 'steps' | 'debiasSteps' | 'optimiser'>) {
  const schedule = { rates: rates(plan), momentum: effectiveMomentum(plan.optimiser) };
  return { critical: criticalLambda(schedule), rateSum: schedule.rates.reduce((sum, rate) => sum + rate, 0) };
}

/** Every point in the order in which it is measured: all methods of one seed before the next seed. */
export function pointsOf(plan: Plan): Point[] {
  const { critical } = penaltyUnit(plan);
  const kronecker = [...plan.lambda.map((share) => share * critical), ...plan.lambdaAbsolute];
  const [first] = plan.tiles;
  if (!first) {
    throw new SextantError('validation_failed', '/tiles: at least one tile is needed');
  }
  const strengths = (method: MethodName): Pick<Point, 'lambda' | 'sparsity'>[] => {
    if (method === 'dense') {
      return [{ lambda: null, sparsity: null }];
    }
    if (method === 'kpd_unpenalised') {
      return [{ lambda: 0, sparsity: null }];
    }
    if (method === 'kpd' || method === 'size_search') {
      return kronecker.map((lambda) => ({ lambda, sparsity: null }));
    }
    if (method === 'rigl' || method === 'pruning') {
      return plan.sparsity.map((sparsity) => ({ lambda: null, sparsity }));
    }
    return plan.lambdaAbsolute.map((lambda) => ({ lambda, sparsity: null }));
  };
  // Neither a dense layer nor the search knows one tile.
  const tilesOf = (method: MethodName) => (method === 'dense' || method === 'size_search' ? [first] : plan.tiles);
  const points = plan.seeds.flatMap((seed) =>
    plan.methods.flatMap((method) =>
      tilesOf(method).flatMap((tile) => strengths(method).map((strength) => ({ method, tile, seed, ...strength }))),
    ),
  );
  const idle = plan.methods.find((method) => strengths(method).length === 0);
  if (idle) {
    const wanted = idle === 'rigl' || idle === 'pruning' ? '/sparsity' : '/lambda_absolute';
    throw new SextantError('validation_failed', `${wanted}: '${idle}' needs at least one value`);
  }
  return points;
}

/** The method of a point for these layers. */
export function methodOf(
  plan: Plan,
  { method, lambda, sparsity, seed }: Point,
  layers: readonly LinearLayer[],
): Method {
  const { rank, steps, ramp, freezeFrom, decay, gain, kroneckerGain, build, tiles, optimiser } = plan;
  const momentum = effectiveMomentum(optimiser);
  const penaltyOf = (strength: number): PenaltyPlan => ({ lambda: strength, ramp, steps, freezeFrom });
  const penalty = penaltyOf(lambda ?? 0);
  switch (method) {
    case 'dense':
      return denseMethod({ gain });
    case 'kpd':
    case 'kpd_unpenalised':
      return kroneckerMethod({ rank, momentum, penalty, decay, gain: kroneckerGain, build });
    case 'size_search': {
      const group = penaltyOf(plan.groupLambda);
      return sizeSearchMethod({ tiles, rank, momentum, entries: penalty, group, decay, gain: kroneckerGain });
    }
    case 'group_lasso':
      return groupLassoMethod({ momentum, penalty, elastic: 'none', gain, layers });
    case 'elastic_l1':
      return groupLassoMethod({ momentum, penalty, elastic: 'l1', gain, layers });
    case 'elastic_l2':
      return groupLassoMethod({ momentum, penalty, elastic: 'l2', gain, layers });
    case 'rigl':
      return rigLMethod({ sparsity: sparsity ?? 0, steps, gain, layers, seed });
    case 'pruning':
      return pruningMethod({ sparsity: sparsity ?? 0, steps, gain, layers });
    default:
      return method satisfies never;
  }
}
