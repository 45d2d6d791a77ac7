/** Handler of `fairness.fit_lookahead`. */

import { futureGapPlot } from '../../shared/fairness/audit/plots.ts';
import { dataError } from '../../shared/fairness/data-error.ts';
import { attributeCodes } from '../../shared/fairness/lookahead/compile.ts';
import type { FitModel } from '../../shared/fairness/lookahead/fit.ts';
import contract from '../../shared/jobs/fairness.fit_lookahead.ts';
import { fitAdditive } from '../fairness/lookahead/additive-fit.ts';
import type { FitParams, FitPoint, Fitted, OnProgress, PreparedRows } from '../fairness/lookahead/fitted.ts';
import { fitKnowledge } from '../fairness/lookahead/knowledge-fit.ts';
import { fitLatent } from '../fairness/lookahead/latent-fit.ts';
import { fitMultiplicative } from '../fairness/lookahead/multiplicative-fit.ts';
import { publishedPredictor } from '../fairness/publish.ts';
import { splitRows } from '../fairness/rows.ts';
import { completeRows, openTable, tableReport } from '../fairness/table-input.ts';
import { handle } from './handler.ts';

/** Columns that the model reads beside the status and the attribute. */
function columnsOf(model: FitModel): string[] {
  if ('estimate' in model) return model.estimate.map((v) => v.name);
  if ('coefficients' in model) return model.coefficients.variables.map((v) => v.name);
  if ('multiplicative' in model) return model.multiplicative.features.map((f) => f.name);
  if ('latent' in model) return [...model.latent.children.map((c) => c.name), ...model.latent.covariates];
  const { children, covariates } = model.knowledge;
  return [...children.map((c) => c.name), ...covariates.map((input) => input.name)];
}

/** Least rows with each attribute value that effects are estimated from. */
const SMALLEST_GROUP = 4;

/** Refuses to estimate the effect of an attribute value that (almost) nobody has. */
function requireGroups({ attribute }: FitParams, codes: Int32Array): void {
  attribute.labels.forEach((label, b) => {
    const count = codes.reduce((sum, code) => sum + Number(code === b), 0);
    if (count < SMALLEST_GROUP)
      throw dataError(
        'group_too_small',
        `/attribute/labels/${b}`,
        `${count} rows have "${label}" for ${attribute.column}; its effects need at least ${SMALLEST_GROUP}`,
      );
  });
}

function fitModel(params: FitParams, prepared: PreparedRows, onProgress: OnProgress): Fitted {
  const { model } = params;
  if ('multiplicative' in model) return fitMultiplicative(params, model, prepared, onProgress);
  if ('latent' in model) return fitLatent(params, model, prepared, onProgress);
  if ('knowledge' in model) return fitKnowledge(params, model, prepared, onProgress);
  return fitAdditive(params, model, prepared, onProgress);
}

/** The sweep over rho at the first eta. */
function sweepPlot(points: readonly FitPoint[]): Uint8Array {
  const measured = points.filter((p) => p.eta === points[0]!.eta).map((p) => ({ rho: p.rho, gap: p.future_gap }));
  return new TextEncoder().encode(futureGapPlot(points[0]!.present_gap, measured));
}

export default handle(contract, async (context) => {
  const { params, artefact, progress } = context;
  const { attribute, status, model, seed } = params;
  const opened = await openTable(context, params.table);
  const table = completeRows(opened.table, [...new Set([attribute.column, status, ...columnsOf(model)])]);
  const parts = splitRows(table.rows, [1 - params.test_share, params.test_share], seed);
  const [train, test] = params.test_share === 0 ? [parts[0]!, parts[0]!] : (parts as [Uint32Array, Uint32Array]);
  const codes = attributeCodes(table, attribute.column, attribute.labels);
  if ('estimate' in model || 'latent' in model) requireGroups(params, codes);
  const { document, ...found } = fitModel(params, { table, codes, train, test }, (fraction, stage, metrics) =>
    progress({ fraction, stage, metrics }),
  );
  const origin = {
    method: 'fairness.fit_lookahead',
    params: { eta: params.eta[0]!, rho: params.rho[0]! },
    seed,
    dataDigest: opened.digest,
  };
  const published = await publishedPredictor(document, origin, artefact);
  await artefact('future-gap.svg', 'image/svg+xml', sweepPlot(found.points));
  const { mse, present_gap, future_gap } = found.points[0]!;
  return {
    result: { table: tableReport(opened, table.rows), ...found, predictor: published.id },
    published: [published.manifest],
    metrics: { mse, present_gap, future_gap },
    run: { device: 'cpu', dtype: 'float64', seed, tolerance: null },
  };
});
