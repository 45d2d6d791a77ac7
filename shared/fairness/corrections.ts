/** Closed-form corrections as the API takes and answers them; every one is a function of the request alone. */
import { z } from 'zod';
import { columnNameSchema } from '../contracts/column-name.ts';
import { SextantError } from '../contracts/problem.ts';
import { fromRows, type Matrix, toRows } from '../math/matrix.ts';
import { grouping } from './audit/groups.ts';
import { applyBarycentre, fitBarycentre, gaussianBarycentre } from './barycentre.ts';
import { layerMs, mappingMs, momentsMs, requireFits, solveMs } from './costs.ts';
import { dataError, requireFinite } from './data-error.ts';
import { refitLookahead } from './lookahead/refit.ts';
import { type GroupMoments, momentsByGroup } from './moments.ts';
import { lookaheadOf } from './predictors/compile-lookahead.ts';
import { lookaheadDocumentSchema } from './predictors/lookahead-document.ts';
import { solveBudget } from './spectral/budget.ts';
import { correctScalarHead, exactMeanStep } from './spectral/exact-mean.ts';
import { correctLayer, stepMatrix } from './spectral/layer.ts';

/** Widest layer that is corrected synchronously. */
export const EDGE_WIDTH = 64;
const number = z.number();
const vector = (most: number) => z.array(number).min(1).max(most);
const rowsOf = (mostRows: number, mostCols: number) => z.array(vector(mostCols)).min(1).max(mostRows);
const label = z.union([z.string().max(1000), z.number(), z.boolean()]);

/** Group moments, or rows with a group label each; labels are used for the moments and dropped. */
const dataSchema = z.union([
  z.strictObject({
    moments: z
      .array(z.strictObject({ count: z.number().min(2), mean: vector(1024), covariance: rowsOf(1024, 1024) }))
      .min(2)
      .max(16)
      .describe('per group: rows, mean, covariance (divided by count - 1)'),
  }),
  z.strictObject({ rows: rowsOf(1_000_000, 1024), groups: z.array(label).min(1).max(1_000_000) }),
]);
const tau = z.number().describe('share of the mean gap that stays: 0 removes it');
const budget = (what: string) => z.number().describe(`how many times smaller the ${what} budget is to become, from 1`);

export const correctionSchema = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('scalar_head'),
    weights: vector(1024),
    bias: z.number().default(0),
    tau: tau.default(0),
    ridge: z.number().min(0).max(1).default(0),
    data: dataSchema,
  }),
  z.strictObject({
    method: z.literal('layer'),
    weights: rowsOf(1024, 1024).describe('outputs x inputs'),
    c1: budget('mean').default(15),
    c2: budget('covariance').default(150),
    covariance_at: z.enum(['input', 'pre_activation']).default('input'),
    data: dataSchema,
  }),
  z.strictObject({
    method: z.literal('layer_mean'),
    weights: rowsOf(1024, 1024),
    tau: tau.default(0),
    ridge: z.number().min(0).max(1).default(0),
    data: dataSchema,
  }),
  z
    .strictObject({
      method: z.literal('retune'),
      kind: z.enum(['mean', 'covariance']),
      vectors: rowsOf(1024, 1024).describe('as a `layer` correction answered them'),
      squares: vector(1024),
      costs: vector(1024),
      ratios: z.array(budget('chosen')).min(1).max(50),
    })
    .describe('other budgets for a layer already corrected: no data needed'),
  z.strictObject({
    method: z.literal('barycentre'),
    scores: vector(1_000_000).describe('calibration scores'),
    groups: z.array(label).min(1).max(1_000_000),
    split: z.boolean().default(true),
    apply: z
      .strictObject({ scores: vector(1_000_000), groups: z.array(label).min(1).max(1_000_000) })
      .optional()
      .describe('rows to map; the calibration rows where left out'),
  }),
  z.strictObject({
    method: z.literal('gaussian_barycentre'),
    groups: z
      .array(z.strictObject({ share: z.number().positive(), mean: number, deviation: z.number().positive() }))
      .min(2)
      .max(64),
  }),
  z.strictObject({
    method: z.literal('lookahead_refit'),
    predictor: lookaheadDocumentSchema,
    moments: z.strictObject({
      count: z.number().int().min(1),
      free: z.array(columnNameSchema).max(200),
      second: rowsOf(204, 204).describe('mean of v v^T for v = (1, s, U of `free`, q, y)'),
    }),
    settings: z
      .array(z.strictObject({ eta: number, rho: number }))
      .min(1)
      .max(50)
      .describe('what-if: one refit for each'),
  }),
]);
export type Correction = z.output<typeof correctionSchema>;

function momentsOf(data: z.output<typeof dataSchema>, width: number): GroupMoments[] {
  if ('moments' in data) {
    return data.moments.map(({ count, mean, covariance }, g) => {
      if (mean.length !== width || covariance.length !== width || covariance.some((row) => row.length !== width)) {
        throw dataError('length_mismatch', `/data/moments/${g}`, `the moments of group ${g} must be of width ${width}`);
      }
      return { count, mean: Float64Array.from(mean), covariance: fromRows(covariance) };
    });
  }
  const { rows, groups } = data;
  if (rows.length !== groups.length)
    throw dataError('length_mismatch', '/data/groups', `${groups.length} group labels for ${rows.length} rows`);
  const bad = rows.findIndex((row) => row.length !== width);
  if (bad >= 0) throw dataError('length_mismatch', `/data/rows/${bad}`, `row ${bad} must have ${width} values`);
  const { codes, levels } = grouping('groups', groups);
  if (levels.length < 2)
    throw dataError('group_count', '/data/groups', 'there is one group only; a correction is between groups');
  return momentsByGroup(fromRows(rows).data, width, codes, levels.length);
}

const rowCount = (data: z.output<typeof dataSchema>): number => ('rows' in data ? data.rows.length : 0);
const groupCount = (data: z.output<typeof dataSchema>): number => ('moments' in data ? data.moments.length : 2);
const weightsOf = (rows: readonly (readonly number[])[]): Matrix => {
  const width = rows[0]!.length;
  const bad = rows.findIndex((row) => row.length !== width);
  if (bad >= 0)
    throw dataError(
      'weights_misfit',
      `/weights/${bad}`,
      `row ${bad} has ${rows[bad]!.length} values, the first has ${width}`,
    );
  return fromRows(rows);
};

/** CPU time the correction needs, in milliseconds, from the sizes in the request. */
export function correctionMs(c: Correction): number {
  switch (c.method) {
    case 'scalar_head':
      return solveMs(c.weights.length) + momentsMs(rowCount(c.data), c.weights.length);
    case 'layer':
    case 'layer_mean': {
      const [m, d] = [c.weights.length, c.weights[0]!.length];
      const work = c.method === 'layer' ? layerMs(m, d, groupCount(c.data)) : solveMs(d);
      return work + momentsMs(rowCount(c.data), d);
    }
    case 'retune':
      return c.ratios.length * solveMs(c.vectors.length);
    case 'barycentre':
      return mappingMs(c.scores.length + (c.apply?.scores.length ?? c.scores.length), new Set(c.groups).size);
    case 'gaussian_barycentre':
      return 0;
    case 'lookahead_refit':
      return c.settings.length * solveMs(c.moments.free.length + 4);
    default:
      return c satisfies never;
  }
}

/** Refuses a request that is too large for the edge: computation_too_large names the job that does it. */
export function requireCorrectionFits(c: Correction): void {
  const job = c.method === 'lookahead_refit' ? 'lcf.fit' : 'fair_regression.fit';
  const width = c.method === 'layer' ? Math.max(c.weights.length, c.weights[0]!.length) : 0;
  if (width > EDGE_WIDTH) {
    throw new SextantError(
      'computation_too_large',
      `layers up to ${EDGE_WIDTH} wide are corrected at once, this one is ${width} wide; create a job of type ${job} instead`,
      { extensions: { job_type: job, width, largest_width: EDGE_WIDTH } },
    );
  }
  requireFits(correctionMs(c), job);
}

/** Carries a correction out; the answer's shape is the method's. Raises `data_invalid`. */
export function correct(c: Correction): Record<string, unknown> {
  switch (c.method) {
    case 'scalar_head': {
      requireFinite(c.weights, '/weights');
      const head = { weights: Float64Array.from(c.weights), bias: c.bias };
      const done = correctScalarHead(head, momentsOf(c.data, c.weights.length), c.tau, c.ridge);
      return {
        weights: [...done.weights],
        bias: done.bias,
        gap_before: done.gapBefore,
        gap_after: done.gapAfter,
        distortion: done.distortion,
      };
    }
    case 'layer': {
      const w = weightsOf(c.weights);
      const done = correctLayer(w, momentsOf(c.data, w.cols), { c1: c.c1, c2: c.c2, covarianceAt: c.covariance_at });
      return {
        weights: toRows(done.weights),
        multiplier: toRows(done.multiplier),
        steps: done.steps.map(({ spectrum, solution }) => ({
          kind: spectrum.kind,
          vectors: toRows(spectrum.vectors),
          squares: [...spectrum.squares],
          costs: [...spectrum.costs],
          factors: [...solution.factors],
          lambda: solution.lambda,
          distortion: solution.distortion,
          before: solution.before,
          after: solution.after,
        })),
      };
    }
    case 'layer_mean': {
      const w = weightsOf(c.weights);
      const done = exactMeanStep(w, momentsOf(c.data, w.cols), c.tau, c.ridge);
      return { weights: toRows(done.weights), distortion: done.distortion };
    }
    case 'retune': {
      const vectors = weightsOf(c.vectors);
      if (c.squares.length !== vectors.cols || c.costs.length !== vectors.cols) {
        throw dataError('weights_misfit', '/squares', `${vectors.cols} directions need as many squares and costs`);
      }
      if ([...c.squares, ...c.costs].some((x) => !(x >= 0)))
        throw dataError('weights_misfit', '/squares', 'squares and costs are not below 0');
      const spectrum = {
        kind: c.kind,
        vectors,
        squares: Float64Array.from(c.squares),
        costs: Float64Array.from(c.costs),
      };
      return {
        settings: c.ratios.map((ratio) => {
          const { factors, lambda, distortion, before, after } = solveBudget(c.kind, c.squares, c.costs, ratio);
          return {
            ratio,
            factors: [...factors],
            lambda,
            distortion,
            before,
            after,
            multiplier: toRows(stepMatrix(spectrum, factors)),
          };
        }),
      };
    }
    case 'barycentre': {
      if (c.scores.length !== c.groups.length)
        throw dataError('length_mismatch', '/groups', `${c.groups.length} groups for ${c.scores.length} scores`);
      requireFinite(c.scores, '/scores');
      const { codes, levels } = grouping('groups', c.groups);
      const fitted = fitBarycentre(c.scores, codes, levels.length, { split: c.split });
      const target = c.apply ?? { scores: c.scores, groups: c.groups };
      if (target.scores.length !== target.groups.length)
        throw dataError(
          'length_mismatch',
          '/apply/groups',
          `${target.groups.length} groups for ${target.scores.length} scores`,
        );
      const at = new Map(levels.map((level, k) => [level, k]));
      const targetCodes = target.groups.map((g) => at.get(String(g)) ?? -1);
      return {
        shares: Object.fromEntries(levels.map((level, k) => [level, fitted.shares[k]!])),
        scores: [...applyBarycentre(fitted, target.scores, targetCodes)],
      };
    }
    case 'gaussian_barycentre': {
      const total = c.groups.reduce((sum, g) => sum + g.share, 0);
      const { mean, deviation, cost } = gaussianBarycentre(c.groups.map((g) => ({ ...g, share: g.share / total })));
      return {
        mean,
        deviation,
        cost,
        maps: c.groups.map((g) => ({
          slope: deviation / g.deviation,
          intercept: mean - (g.mean * deviation) / g.deviation,
        })),
      };
    }
    case 'lookahead_refit': {
      const predictor = lookaheadOf(c.predictor);
      const moments = { count: c.moments.count, free: c.moments.free, second: weightsOf(c.moments.second) };
      return {
        settings: c.settings.map(({ eta, rho }) => {
          const refit = refitLookahead(predictor, moments, { eta, rho });
          return {
            predictor: {
              ...c.predictor,
              eta,
              rho,
              p2: refit.predictor.p2,
              p3: refit.predictor.p3,
              free: refit.predictor.free,
            },
            error: refit.error,
            constant: refit.constant,
            p1: refit.p1,
            gap_factor: refit.factor,
          };
        }),
      };
    }
    default:
      return c satisfies never;
  }
}
