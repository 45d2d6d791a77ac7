/**
 * Handler of `block_sparse.train`: measures every point of a comparison, chooses a model by the validation rows, publishes
 * it and the report. What is done, and the run in progress, are published now and then for other workers.
 */
import contract from '../../shared/jobs/block_sparse.train.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { chosenFigures, comparePoints, modelOfPoint } from '../block-sparse/comparison/comparison.ts';
import { figuresOfStated, planOf, statedFigures, statedProgress } from '../block-sparse/comparison/contract-names.ts';
import { measurePoint } from '../block-sparse/comparison/measure.ts';
import { penaltyUnit } from '../block-sparse/comparison/points.ts';
import { comparisonReport } from '../block-sparse/comparison/report.ts';
import { checkShapes, figureWarnings } from '../block-sparse/comparison/warnings.ts';
import { layerTimes } from '../block-sparse/inference/index.ts';
import { PublishedPoints } from './checkpoints/published-points.ts';
import { handle } from './handler.ts';
import { openSubject } from './inputs/sparse-subject.ts';
import { publishComparison, publishSparseModel } from './outputs/sparse-model.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const plan = planOf(params);
  const opened = await openSubject(context);
  const { subject } = opened;
  const { warnings, leftDense } = checkShapes(subject.shapes, plan);
  const published = new PublishedPoints(context, await sha256Hex(canonicalJson({ params, data: opened.digest })));
  const { done, run } = await published.load();
  const options = { subject, plan, threads: configuration.threads, memoryBudget: configuration.memory_limit_bytes };
  const { figures, models } = await comparePoints({
    ...options,
    done: done.map(figuresOfStated),
    run,
    progress: (now) => context.progress(statedProgress(now)),
    save: (all, take) => published.save(all.map(statedFigures), take),
  });
  const chosen = chosenFigures(figures, params.tolerance);
  const model = await modelOfPoint(chosen.point, models, () => measurePoint(chosen.point, options));
  warnings.push(...figureWarnings(figures));
  const { critical, rateSum } = penaltyUnit(plan);
  const { seed } = chosen.point;
  const { point, test, zero_share, parameters, macs } = statedFigures(chosen);
  const body = { point, test, zero_share, parameters, macs };
  const measure = opened.parent ? 'minus the loss on held-out text, nats' : 'accuracy on the test rows';
  const { frontier, equal, report } = comparisonReport({ figures, chosen, model, measure, warnings, critical });
  const modelManifest = await publishSparseModel(context, model, { params, seed, opened, body });
  const reportManifest = await publishComparison(context, report, { params, seed, opened });
  return {
    result: {
      points: figures.map(statedFigures),
      frontier,
      at_equal_sparsity: equal,
      chosen: point,
      model: await manifestId(modelManifest),
      report: await manifestId(reportManifest),
      critical_lambda: critical,
      learning_rate_sum: rateSum,
      inference: await layerTimes(model),
      left_dense: leftDense,
      warnings,
      text: opened.text,
      held_out_text: opened.heldOutText,
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
