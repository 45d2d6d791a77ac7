/**
 * Handler of `block_sparse.train`: measures every point of a comparison, chooses a model by the validation rows, publishes
 * it and the report. What is done, and the run in progress, are published now and then for other workers.
 */
import contract from '../../shared/jobs/block_sparse.train.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import * as comparison from '../block-sparse/comparison.ts';
import { measurePoint } from '../block-sparse/measure.ts';
import { frontierPicture, tilePictures } from '../block-sparse/pictures.ts';
import { type Plan, penaltyUnit } from '../block-sparse/points.ts';
import { checkShapes, figureWarnings } from '../block-sparse/warnings.ts';
import { PublishedPoints } from './checkpoints/published-points.ts';
import { handle } from './handler.ts';
import { openSubject, type SparseParams } from './inputs/sparse-subject.ts';
import { publishComparison, publishSparseModel } from './outputs/sparse-model.ts';
import { figuresOfStated, statedFigures, statedFrontier } from './outputs/sparse-result.ts';

/** The reference runs of linear models began with twice the usual deviation; rectifiers ask for the root of two. */
const gains = ({ task, model }: SparseParams) =>
  task.kind !== 'lm' && model.kind === 'linear'
    ? { gain: 1, kroneckerGain: 2 }
    : { gain: Math.SQRT2, kroneckerGain: Math.SQRT2 };

const planOf = (params: SparseParams): Plan => ({
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

export default handle(contract, async (context) => {
  const { params, configuration, progress } = context;
  const plan = planOf(params);
  const opened = await openSubject(context);
  const { subject } = opened;
  const { warnings, leftDense } = checkShapes(subject.shapes, plan);
  const published = new PublishedPoints(context, await sha256Hex(canonicalJson({ params, data: opened.digest })));
  const { done, run } = await published.load();
  const options = { subject, plan, threads: configuration.threads, memoryBudget: configuration.memory_limit_bytes };
  const { figures, models } = await comparison.comparePoints({
    ...options,
    done: done.map(figuresOfStated),
    run,
    progress: ({ share, done: point, curve, zeroShare, secondsLeft }) =>
      progress({
        fraction: 0.97 * share,
        stage: 'training',
        metrics: {
          loss: curve.loss,
          validation_accuracy: curve.validation?.accuracy ?? null,
          zero_share: zeroShare,
          point,
          seconds_left: secondsLeft,
        },
      }),
    save: (all, take) => published.save(all.map(statedFigures), take),
  });
  const chosen = comparison.chosenFigures(figures, params.tolerance);
  const model = await comparison.modelOfPoint(chosen.point, models, () => measurePoint(chosen.point, options));
  warnings.push(...figureWarnings(figures));
  const { critical, rateSum } = penaltyUnit(plan);
  const frontier = statedFrontier(comparison.frontierOf(figures));
  const { seed } = chosen.point;
  const stated = statedFigures(chosen);
  const modelManifest = await publishSparseModel(context, model, {
    params,
    seed,
    opened,
    body: {
      point: stated.point,
      test: stated.test,
      zero_share: stated.zero_share,
      parameters: stated.parameters,
      macs: stated.macs,
    },
  });
  const measured = comparison.measuredOn('test', figures);
  const report = {
    kind: 'block_sparse',
    body: {
      frontier,
      at_equal_sparsity: comparison.comparedAtEqualSparsity(figures),
      warnings,
      critical_lambda: critical,
    },
    plots: [
      ...tilePictures(model),
      {
        name: 'frontier',
        svg: frontierPicture(measured, {
          label: opened.parent ? 'minus the loss on held-out text, nats' : 'accuracy on the test rows',
          chosen: comparison.measuredOn('test', [chosen])[0]!,
        }),
      },
    ],
  };
  const reportManifest = await publishComparison(context, report, { params, seed, opened });
  return {
    result: {
      points: figures.map(statedFigures),
      frontier,
      at_equal_sparsity: comparison
        .comparedAtEqualSparsity(figures)
        .map((one) => ({ ...one, tile: [...one.tile] as [number, number] })),
      chosen: stated.point,
      model: await manifestId(modelManifest),
      report: await manifestId(reportManifest),
      critical_lambda: critical,
      learning_rate_sum: rateSum,
      left_dense: leftDense,
      warnings,
      data_digest: opened.digest,
    },
    published: [modelManifest, reportManifest],
    metrics: {
      ...(chosen.test.accuracy !== null && { accuracy: chosen.test.accuracy }),
      loss: chosen.test.loss,
      zero_share: chosen.zeroShare,
      points: figures.length,
    },
    run: { device: 'cpu', dtype: 'float32', seed, tolerance: null },
  };
});
