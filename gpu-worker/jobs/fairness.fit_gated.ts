/** Handler of `fairness.fit_gated`. */
import contract from '../../shared/jobs/fairness.fit_gated.ts';
import { fitGatedClassifier } from '../fairness/gated/fit.ts';
import { publishedPredictor } from '../fairness/publish.ts';
import { openTable, tableReport } from '../fairness/table-input.ts';
import { handle } from './handler.ts';
import { fittingParts } from './outputs/fitting-parts.ts';

export default handle(contract, async (context) => {
  const { params, artefact, progress } = context;
  const { label, positive, demographics, features } = params;
  const opened = await openTable(context, params.table, {
    read: [label, ...demographics, ...features.columns],
    text: [...demographics, ...features.categorical, ...(positive === null ? [] : [label])],
  });
  let done = 0;
  const fitted = fitGatedClassifier(params, opened.table, (groups, validationLoss) => {
    done += 1;
    progress({
      fraction: (0.7 * done) / (params.groups.length + 1),
      stage: 'training',
      metrics: { groups, validation_loss: validationLoss },
    });
  });
  const origin = {
    method: 'fairness.fit_gated',
    params: { groups: fitted.result.groups, guard: params.guard },
    seed: params.seed,
    dataDigest: opened.digest,
  };
  const published = await publishedPredictor(fitted.document, origin, artefact);
  const { inputs, excluded, preferences, ...rest } = fitted.result;
  const table = tableReport(opened, fitted.usedRows);
  const { shown, file } = await fittingParts(context, 'parts.json', { table, inputs, excluded, preferences });
  return {
    result: { ...rest, ...shown, parts_file: file, predictor: published.id },
    published: [published.manifest],
    metrics: fitted.metrics,
    run: { device: 'cpu', dtype: 'float64', seed: params.seed, tolerance: null },
  };
});
