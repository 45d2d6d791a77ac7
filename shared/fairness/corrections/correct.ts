/** Carries out closed-form corrections: every one is a function of the request alone. */
import { fromRows, type Matrix, toRows } from '../../math/matrix.ts';
import { grouping } from '../audit/groups.ts';
import { applyBarycentre, fitBarycentre, gaussianBarycentre } from '../barycentre.ts';
import { dataError, placed, requireFinite } from '../data-error.ts';
import { lookaheadOf } from '../lookahead/compile.ts';
import { refitLookahead } from '../lookahead/refit.ts';
import { solveBudget } from '../spectral/budget.ts';
import { correctScalarHead, exactMeanStep } from '../spectral/exact-mean.ts';
import { correctLayer, stepMatrix } from '../spectral/layer.ts';
import type { Correction, GroupData } from './document.ts';
import { groupsPointer, momentsOf } from './group-data.ts';
import { groupThresholds } from './group-thresholds.ts';

/** A matrix from rows of equal length; `pointer` is where the request has it. */
const matrixOf = (rows: readonly (readonly number[])[], pointer: string): Matrix => {
  const width = rows[0]!.length;
  const bad = rows.findIndex((row) => row.length !== width);
  if (bad >= 0) {
    throw dataError(
      'weights_misfit',
      `${pointer}/${bad}`,
      `row ${bad} has ${rows[bad]!.length} values, the first has ${width}`,
    );
  }
  return fromRows(rows);
};

/** The methods know groups and their second moments; a request has both in its data. */
const inData =
  (data: GroupData) =>
  (pointer: string): string =>
    pointer === '/groups' || pointer === '/moments' ? groupsPointer(data) : pointer;

/** Where the free part of a lookahead score goes wrong: eta and rho are the setting's, moments the request's. */
const inSetting =
  (k: number) =>
  (pointer: string): string => {
    if (pointer === '/eta' || pointer === '/rho') {
      return `/settings/${k}${pointer}`;
    }
    return pointer.startsWith('/moments') ? pointer : `/predictor${pointer}`;
  };

/** Refits a lookahead score once for every setting. */
function refit({ predictor: document, moments: given, settings }: Extract<Correction, { method: 'lookahead_refit' }>) {
  const predictor = placed(
    (pointer) => `/predictor${pointer}`,
    () => lookaheadOf(document),
  );
  const moments = { count: given.count, free: given.free, second: matrixOf(given.second, '/moments/second') };
  return {
    settings: settings.map(({ eta, rho }, k) => {
      const done = placed(inSetting(k), () => refitLookahead(predictor, moments, { eta, rho }));
      const { p2, p3, free } = done.predictor;
      return {
        predictor: { ...document, eta, rho, p2, p3, free },
        error: done.error,
        constant: done.constant,
        p1: done.p1,
        gap_factor: done.factor,
      };
    }),
  };
}

/** Whether every number of an answer is finite: JSON has no others. */
const hasFiniteNumbers = (answer: unknown): boolean => {
  if (typeof answer === 'number') {
    return Number.isFinite(answer);
  }
  if (answer === null || typeof answer !== 'object') {
    return true;
  }
  return (Array.isArray(answer) ? answer : Object.values(answer)).every(hasFiniteNumbers);
};

/** Whether the answer's numbers differ from what was sent: a correction may find nothing to correct. */
function hasChanged(c: Correction, answer: Record<string, unknown>): boolean {
  const [before, after] =
    c.method === 'barycentre'
      ? [c.apply?.scores ?? c.scores, answer.scores]
      : c.method === 'group_thresholds'
        ? [c.scores.map((score) => Number(score >= 0.5)), answer.probabilities]
        : 'weights' in c
          ? [
              [c.weights, 'bias' in c ? c.bias : null],
              [answer.weights, answer.bias ?? null],
            ]
          : [null, answer];
  return JSON.stringify(before) !== JSON.stringify(after);
}

/** Carries a correction out; the answer's shape is the method's. Raises `data_invalid`. */
export function correct(c: Correction): Record<string, unknown> {
  const answer = answerOf(c);
  if (!hasFiniteNumbers(answer)) {
    throw dataError('value_out_of_range', '', 'numbers of this size have answers beyond double precision; scale them');
  }
  return { ...answer, corrected: hasChanged(c, answer) };
}

function answerOf(c: Correction): Record<string, unknown> {
  switch (c.method) {
    case 'scalar_head': {
      requireFinite(c.weights, '/weights');
      const head = { weights: Float64Array.from(c.weights), bias: c.bias };
      const moments = momentsOf(c.data, c.weights.length);
      const done = placed(inData(c.data), () => correctScalarHead(head, moments, c.tau, c.ridge));
      return {
        weights: [...done.weights],
        bias: done.bias,
        gap_before: done.gapBefore,
        gap_after: done.gapAfter,
        distortion: done.distortion,
      };
    }
    case 'layer': {
      const w = matrixOf(c.weights, '/weights');
      const moments = momentsOf(c.data, w.cols);
      const done = placed(
        (pointer) => (pointer === '/squares' ? '/weights' : pointer),
        () => correctLayer(w, moments, { c1: c.c1, c2: c.c2, covarianceAt: c.covariance_at }),
      );
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
      const w = matrixOf(c.weights, '/weights');
      const moments = momentsOf(c.data, w.cols);
      const done = placed(inData(c.data), () => exactMeanStep(w, moments, c.tau, c.ridge));
      return { weights: toRows(done.weights), distortion: done.distortion };
    }
    case 'retune': {
      const vectors = matrixOf(c.vectors, '/vectors');
      if (c.squares.length !== vectors.cols || c.costs.length !== vectors.cols) {
        throw dataError('weights_misfit', '/squares', `${vectors.cols} directions need as many squares and costs`);
      }
      for (const name of ['squares', 'costs'] as const) {
        const bad = c[name].findIndex((x) => !(x >= 0));
        if (bad >= 0) {
          throw dataError('weights_misfit', `/${name}/${bad}`, `${name} are not below 0`);
        }
      }
      const spectrum = {
        kind: c.kind,
        vectors,
        squares: Float64Array.from(c.squares),
        costs: Float64Array.from(c.costs),
      };
      return {
        settings: c.ratios.map((ratio, k) => {
          const { factors, lambda, distortion, before, after } = placed(
            (pointer) => (pointer === '/squares' ? pointer : `/ratios/${k}`),
            () => solveBudget(c.kind, c.squares, c.costs, ratio),
          );
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
      if (c.scores.length !== c.groups.length) {
        throw dataError('length_mismatch', '/groups', `${c.groups.length} groups for ${c.scores.length} scores`);
      }
      requireFinite(c.scores, '/scores');
      if (c.scores.every((score) => score === c.scores[0])) {
        throw dataError('prediction_constant', '/scores', 'all scores are equal: there is nothing to map');
      }
      const { groupIds, levels } = grouping('groups', c.groups, '/groups');
      if (levels.length < 2) {
        throw dataError('group_count', '/groups', 'there is one group only; a barycentre is between groups');
      }
      const fitted = fitBarycentre(c.scores, groupIds, levels.length, { split: c.split });
      const target = c.apply ?? { scores: c.scores, groups: c.groups };
      if (target.scores.length !== target.groups.length) {
        throw dataError(
          'length_mismatch',
          '/apply/groups',
          `${target.groups.length} groups for ${target.scores.length} scores`,
        );
      }
      const at = new Map(levels.map((level, k) => [level, k]));
      const targetCodes = target.groups.map((g) => at.get(String(g)) ?? -1);
      return {
        shares: Object.fromEntries(levels.map((level, k) => [level, fitted.shares[k]!])),
        scores: [
          ...placed(
            (pointer) => `${c.apply ? '/apply' : ''}${pointer}`,
            () => applyBarycentre(fitted, target.scores, targetCodes),
          ),
        ],
      };
    }
    case 'group_thresholds':
      return groupThresholds(c);
    case 'gaussian_barycentre': {
      const largest = Math.max(...c.groups.map((g) => g.share));
      const total = c.groups.reduce((sum, g) => sum + g.share / largest, 0);
      const shares = c.groups.map((g) => ({ ...g, share: g.share / largest / total }));
      const { mean, deviation, cost } = gaussianBarycentre(shares);
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
    case 'lookahead_refit':
      return refit(c);
    default:
      return c satisfies never;
  }
}
