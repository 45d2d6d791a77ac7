/** The field's names for what the contract of `block_sparse.train` names in another way. */
import type { z } from 'zod';
import type { frontierSchema, pointFiguresSchema } from '../../../shared/contracts/block-sparse.ts';
import type training from '../../../shared/jobs/block_sparse.train.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type { comparedAtEqualSparsity, frontierOf, Progress } from './comparison.ts';
import type { PointFigures } from './measure.ts';
import type { Plan } from './points.ts';

type Params = ParamsOf<typeof training>;
type Stated = z.output<typeof pointFiguresSchema>;

/** The reference runs of linear models began with twice the usual deviation; rectifiers ask for the root of two. */
const gains = ({ task, model }: Params) =>
  task.kind !== 'lm' && model.kind === 'linear'
    ? { gain: 1, kroneckerGain: 2 }
    : { gain: Math.SQRT2, kroneckerGain: Math.SQRT2 };

/** What the params ask to be compared. */
export const planOf = (params: Params): Plan => ({
  methods: params.methods,
  tiles: params.tiles,
  rank: params.rank,
  lambda: params.lambda,
  lambdaAbsolute: params.lambda_absolute,
  sparsity: params.sparsity,
  groupLambda: params.group_lambda,
  seeds: params.seeds,
  steps: params.steps,
  debiasSteps: params.debias_steps,
  rate: params.learning_rate,
  optimiser: { kind: params.optimiser, momentum: params.momentum },
  ramp: params.ramp,
  freezeFrom: params.freeze_from ?? params.steps + 1,
  decay: { kind: params.decay, value: params.weight_decay },
  ...gains(params),
  build: params.build,
});

/** A comparison's progress, which takes nearly all of its job's time. */
export const statedProgress = ({ share, done, curve, zeroShare, secondsLeft }: Progress) => ({
  fraction: 0.97 * share,
  stage: 'training',
  metrics: {
    loss: curve.loss,
    validation_accuracy: curve.validation?.accuracy ?? null,
    zero_share: zeroShare,
    point: done,
    seconds_left: secondsLeft,
  },
});

export const statedFigures = (f: PointFigures): Stated => ({
  point: { ...f.point, tile: [...f.point.tile] },
  lambda_share: f.lambdaShare,
  validation: f.validation,
  test: f.test,
  layers: f.layers,
  zero_share: f.zeroShare,
  signed_test_share: f.signedTestShare,
  parameters: f.parameters,
  macs: f.macs,
  seconds: f.seconds,
  stopped: f.stopped,
  curve: [...f.curve],
  surviving_tiles:
    f.survivingTiles &&
    Object.fromEntries(
      Object.entries(f.survivingTiles).map(([layer, tiles]) => [
        layer,
        tiles.map(([m, n]): [number, number] => [m, n]),
      ]),
    ),
});

export const figuresOfStated = (s: Stated): PointFigures => ({
  point: s.point,
  lambdaShare: s.lambda_share,
  validation: s.validation,
  test: s.test,
  layers: s.layers,
  zeroShare: s.zero_share,
  signedTestShare: s.signed_test_share,
  parameters: s.parameters,
  macs: s.macs,
  seconds: s.seconds,
  stopped: s.stopped,
  curve: s.curve,
  survivingTiles: s.surviving_tiles,
});

export const statedFrontier = (entries: ReturnType<typeof frontierOf>): z.output<typeof frontierSchema> =>
  entries.map(({ tile, zeroShare, trainingMacs, inferenceMacs, ...rest }) => ({
    ...rest,
    tile: [...tile],
    zero_share: zeroShare,
    training_macs: trainingMacs,
    inference_macs: inferenceMacs,
  }));

export const statedAtEqualSparsity = (entries: ReturnType<typeof comparedAtEqualSparsity>) =>
  entries.map((one) => ({ ...one, tile: [...one.tile] as [number, number] }));
