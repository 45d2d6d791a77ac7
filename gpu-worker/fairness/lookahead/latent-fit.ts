/** Lookahead predictors on a latent variable whose model is sampled from the rows. */

import type { LatentDocument } from '../../../shared/fairness/lookahead/document.ts';
import type { FitModelOf } from '../../../shared/fairness/lookahead/fit.ts';
import { encodeTable, featureCount, learnInputs } from '../../../shared/fairness/predictors/encode.ts';
import type { InputEncoding } from '../../../shared/fairness/predictors/input.ts';
import { columnOf } from '../../../shared/formats/table.ts';
import { numbersOf } from '../table-input.ts';
import { fitDeployed, latentPredictorOf, latentRows, latentScores } from './deployed-latent.ts';
import {
  type FitParams,
  type FitPoint,
  type Fitted,
  improvementOf,
  meanSquare,
  type OnProgress,
  type PreparedRows,
  settingsOf,
} from './fitted.ts';
import { type LatentWorld, latentScore } from './latent-draws.ts';
import { fitLatentKnowledge, type LatentFit } from './latent-knowledge.ts';

/** Draws of K per person that scores are averaged over. */
const DRAWS = 50;

/** Indicators of the attribute's values but the first, then the covariates: n x p, with the covariates alone beside. */
function designOf({ table, groupIds }: PreparedRows, values: number, inputs: readonly InputEncoding[]) {
  const extra = inputs.length ? encodeTable(table, inputs) : new Float64Array(0);
  const width = featureCount(inputs);
  const p = values - 1 + width;
  const design = new Float64Array(table.rows * p);
  for (let i = 0; i < table.rows; i++) {
    if (groupIds[i]! > 0) design[i * p + groupIds[i]! - 1] = 1;
    design.set(extra.subarray(i * width, (i + 1) * width), i * p + values - 1);
  }
  return { design, p, extra, width };
}

/** The predictor's document from posterior means; a Gaussian equation keeps its deviation. */
function documentOf(params: FitParams, inputs: InputEncoding[], fit: LatentFit): LatentDocument {
  const values = params.attribute.labels.length;
  const equation = ({ name, intercept, attributes, weight }: LatentFit['children'][number]) => ({
    name,
    intercept,
    effects: [0, ...attributes.slice(0, values - 1)],
    covariates: attributes.slice(values - 1),
    weight,
  });
  const deviation = (child: LatentFit['children'][number]): number => Math.sqrt(child.variance!);
  const status = fit.children.at(-1)!;
  return {
    kind: 'lookahead_latent',
    attribute: { name: params.attribute.column, labels: params.attribute.labels },
    covariates: inputs,
    children: fit.children
      .slice(0, -1)
      .map((child) =>
        child.family === 'gaussian'
          ? { family: 'gaussian', ...equation(child), deviation: deviation(child) }
          : { family: 'poisson', ...equation(child) },
      ),
    status: { ...equation(status), deviation: params.status_observed ? deviation(status) : null },
    eta: params.eta[0]!,
    rho: params.rho[0]!,
    p2: 0,
    p3: 0,
    free: 0,
  };
}

/** Samples the model, measures every eta and rho on draws, and fits the published score to what it will see of people. */
export function fitLatent(
  params: FitParams,
  { latent: model }: FitModelOf<'latent'>,
  prepared: PreparedRows,
  onProgress: OnProgress,
): Fitted {
  const { table, groupIds, train, test } = prepared;
  const values = params.attribute.labels.length;
  const inputs = learnInputs(table, model.covariates, { dropFirst: true, numbersFrom: train }).map((input) =>
    input.kind === 'number' ? input : { ...input, unknown: 'zeros' as const },
  );
  const { design, p, extra, width } = designOf(prepared, values, inputs);
  for (const child of model.children) columnOf(table, child.name);
  const y = numbersOf(table, params.status);
  const children = [
    ...model.children.map(({ name, family }) => ({ name, family, values: numbersOf(table, name) })),
    { name: params.status, family: 'gaussian' as const, values: y },
  ];
  const fit = fitLatentKnowledge(
    { n: table.rows, p, attributes: design, children },
    {
      burnIn: model.burn_in,
      samples: model.samples,
      seed: params.seed,
      keepLatent: true,
      ...(model.status_variance !== null && { fixedVariance: { [params.status]: model.status_variance } }),
      onSweep: (sweep, sweeps) => onProgress((0.9 * sweep) / sweeps, 'sampling', { sweep, sweeps }),
    },
  );
  const status = fit.children.at(-1)!;
  const world: LatentWorld = {
    fit,
    draws: Math.min(fit.samples, DRAWS),
    groupIds,
    y,
    values,
    weight: status.weight,
    offset(i, b) {
      let value = status.intercept + (b === 0 ? 0 : status.attributes[b - 1]!);
      for (let j = 0; j < width; j++) value += status.attributes[values - 1 + j]! * extra[i * width + j]!;
      return value;
    },
  };
  const points = settingsOf(params).map((setting): FitPoint => {
    const s = latentScore(world, train, test, setting);
    return {
      ...setting,
      constant: s.constant,
      p1: s.p1,
      mse: s.mse,
      present_gap: s.presentGap,
      future_gap: s.futureGap,
      improvement: improvementOf(s.presentGap, s.futureGap),
      score_gap: s.scoreGap,
    };
  });
  const document = documentOf(params, inputs, fit);
  const [trained, held] = [latentRows(prepared, train, document), latentRows(prepared, test, document)];
  const deployed = fitDeployed(latentPredictorOf(document), trained);
  const { p2, p3, free } = deployed;
  const fair = latentScore(world, train, test, { eta: params.eta[0]!, rho: 0, counterfactual: true });
  return {
    model: { latent: 'K ~ N(0, 1)', inputs, children: fit.children },
    fit: {
      latent_acceptance: fit.acceptance.latent,
      poisson_acceptance: fit.acceptance.poisson,
      published_mse: meanSquare(latentScores(deployed, held), held.y),
    },
    baselines: [
      { method: 'counterfactually_fair', mse: fair.mse, present_gap: fair.presentGap, future_gap: fair.futureGap },
    ],
    points,
    moments: null,
    document: { ...document, p2, p3, free },
  };
}
