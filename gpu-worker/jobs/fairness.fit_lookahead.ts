/** Handler of `fairness.fit_lookahead`. */
import contract from '../../shared/jobs/fairness.fit_lookahead.ts';
import { columnsOf, fitLookahead } from '../fairness/lookahead/fit.ts';
import { publishedPredictor } from '../fairness/publish.ts';
import { openTable, tableReport } from '../fairness/table-input.ts';
import { handle } from './handler.ts';
import { fittingParts } from './outputs/fitting-parts.ts';

export default handle(contract, async (context) => {
  const { params, artefact, progress } = context;
  const { attribute, status, model } = params;
  const opened = await openTable(context, params.table, {
    read: [attribute.column, status, ...columnsOf(model)],
    text: [attribute.column],
  });
  const { document, plot, usedRows, ...found } = fitLookahead(params, opened.table, (fraction, stage, metrics) =>
    progress({ fraction, stage, metrics }),
  );
  const [published] = found.points;
  if (!published) {
    throw new RangeError('a fit has the point that is published');
  }
  const { eta, rho, mse, present_gap, future_gap } = published;
  const origin = {
    method: 'fairness.fit_lookahead',
    params: { eta, rho },
    seed: params.seed,
    dataDigest: opened.digest,
  };
  const predictor = await publishedPredictor(document, origin, artefact);
  await artefact('future-gap.svg', 'image/svg+xml', new TextEncoder().encode(plot));
  const { model: fitted, ...rest } = found;
  const table = tableReport(opened, usedRows);
  const { shown, file } = await fittingParts(context, 'parts.json', { table, model: fitted });
  return {
    result: {
      ...rest,
      ...shown,
      parts_file: file,
      corrected: future_gap < present_gap,
      predictor: predictor.id,
    },
    published: [predictor.manifest],
    metrics: { mse, present_gap, future_gap },
    run: { device: 'cpu', dtype: 'float64', seed: params.seed, tolerance: null },
  };
});
