/** A lookahead predictor on a table, whatever its structural model. */
import { futureGapPlot } from '../../../shared/fairness/audit/plots.ts';
import { dataError } from '../../../shared/fairness/data-error.ts';
import { attributeGroupIds } from '../../../shared/fairness/lookahead/compile.ts';
import type { FitModel } from '../../../shared/fairness/lookahead/fit.ts';
import type { Table } from '../../../shared/formats/table.ts';
import { splitRows, strataOf } from '../rows.ts';
import { completeRows, numbersOf } from '../table-input.ts';
import { fitAdditive } from './additive-fit.ts';
import type { FitParams, FitPoint, Fitted, OnProgress, PreparedRows } from './fitted.ts';
import { fitKnowledge } from './knowledge-fit.ts';
import { fitLatent } from './latent-fit.ts';
import { fitMultiplicative } from './multiplicative-fit.ts';

/** Columns that the model reads beside the status and the attribute. */
export function columnsOf(model: FitModel): string[] {
  if ('estimate' in model) {
    return model.estimate.map((v) => v.name);
  }
  if ('coefficients' in model) {
    return model.coefficients.variables.map((v) => v.name);
  }
  if ('multiplicative' in model) {
    return model.multiplicative.features.map((f) => f.name);
  }
  if ('latent' in model) {
    return [...model.latent.children.map((c) => c.name), ...model.latent.covariates];
  }
  const { children, covariates } = model.knowledge;
  return [...children.map((c) => c.name), ...covariates.map((input) => input.name)];
}

/** Least rows with each attribute value that effects are estimated from. */
const SMALLEST_GROUP = 4;

/** Refuses to estimate the effect of an attribute value that (almost) nobody has. */
function requireGroups({ attribute }: FitParams, groupIds: Int32Array): void {
  attribute.labels.forEach((label, b) => {
    const count = groupIds.reduce((sum, id) => sum + Number(id === b), 0);
    if (count < SMALLEST_GROUP) {
      throw dataError(
        'group_too_small',
        `/attribute/labels/${b}`,
        `${count} rows have "${label}" for ${attribute.column}; its effects need at least ${SMALLEST_GROUP}`,
      );
    }
  });
}

function fitModel(params: FitParams, prepared: PreparedRows, onProgress: OnProgress): Fitted {
  const { model } = params;
  if ('multiplicative' in model) {
    return fitMultiplicative(params, model, prepared, onProgress);
  }
  if ('latent' in model) {
    return fitLatent(params, model, prepared, onProgress);
  }
  if ('knowledge' in model) {
    return fitKnowledge(params, model, prepared, onProgress);
  }
  return fitAdditive(params, model, prepared, onProgress);
}

/** The sweep over rho at the first eta, as a plot. */
function sweepPlot(points: readonly FitPoint[]): string {
  const [first] = points;
  const measured = points.filter((p) => p.eta === first?.eta).map((p) => ({ rho: p.rho, gap: p.future_gap }));
  return futureGapPlot(first?.present_gap ?? 0, measured);
}

/** Raises `data_invalid` for rows or a model that cannot be used. */
export function fitLookahead(
  params: FitParams,
  given: Table,
  onProgress: OnProgress,
): Fitted & { plot: string; usedRows: number } {
  const { attribute, status, model, seed } = params;
  const table = completeRows(given, [...new Set([attribute.column, status, ...columnsOf(model)])]);
  const groupIds = attributeGroupIds(table, attribute.column, attribute.labels);
  if ('estimate' in model || 'latent' in model) {
    requireGroups(params, groupIds);
  }
  const everybody = Uint32Array.from({ length: table.rows }, (_, i) => i);
  const shares = [1 - params.test_share, params.test_share];
  const [train, test] =
    params.test_share === 0
      ? [everybody, everybody]
      : splitRows(strataOf(groupIds, numbersOf(table, status)), shares, seed);
  if (!train?.length || !test?.length) {
    throw dataError(
      'length_mismatch',
      '/test_share',
      `${table.rows} rows cannot be divided into ${shares.join(' and ')}`,
    );
  }
  const fitted = fitModel(params, { table, groupIds, train, test }, onProgress);
  return { ...fitted, plot: sweepPlot(fitted.points), usedRows: table.rows };
}
