/** Lookahead predictors on a latent variable whose model is sampled from the training rows. */

import type { LatentDocument } from '../../../shared/fairness/lookahead/document.ts';
import type { FitModelOf } from '../../../shared/fairness/lookahead/fit.ts';
import { encodeTable, featureCount, learnInputs } from '../../../shared/fairness/predictors/encode.ts';
import type { InputEncoding } from '../../../shared/fairness/predictors/input.ts';
import { numbersOf, takeRows } from '../table-input.ts';
import type { FitParams, Fitted, OnProgress, PreparedRows } from './fitted.ts';
import { sweepDeployed } from './knowledge-fit.ts';
import { fitLatentKnowledge, type LatentFit } from './latent-knowledge.ts';

/** What the sampler is told of the training rows, and of no other: not even their status. */
function trainingData(
  params: FitParams,
  model: FitModelOf<'latent'>['latent'],
  { table, groupIds, train }: PreparedRows,
  inputs: readonly InputEncoding[],
) {
  const own = takeRows(table, train);
  const values = params.attribute.labels.length;
  const extra = inputs.length ? encodeTable(own, inputs) : new Float64Array(0);
  const width = featureCount(inputs);
  const p = values - 1 + width;
  const attributes = new Float64Array(own.rows * p);
  for (const [at, i] of train.entries()) {
    // Indicators of the attribute's values but the first, then the covariates.
    const group = groupIds[i] ?? 0;
    if (group > 0) {
      attributes[at * p + group - 1] = 1;
    }
    attributes.set(extra.subarray(at * width, (at + 1) * width), at * p + values - 1);
  }
  const children = [
    ...model.children.map(({ name, family }) => ({ name, family, values: numbersOf(own, name) })),
    { name: params.status, family: 'gaussian' as const, values: numbersOf(own, params.status) },
  ];
  return { n: own.rows, p, attributes, children };
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

/** Samples the model on training rows; every eta and rho is then fitted to what the score will see, and measured on test rows. */
export function fitLatent(
  params: FitParams,
  { latent: model }: FitModelOf<'latent'>,
  prepared: PreparedRows,
  onProgress: OnProgress,
): Fitted {
  const inputs = learnInputs(prepared.table, model.covariates, { dropFirst: true, numbersFrom: prepared.train }).map(
    (input) => (input.kind === 'number' ? input : { ...input, unknown: 'zeros' as const }),
  );
  const fit = fitLatentKnowledge(trainingData(params, model, prepared, inputs), {
    burnIn: model.burn_in,
    samples: model.samples,
    seed: params.seed,
    ...(model.status_variance !== null && { fixedVariance: { [params.status]: model.status_variance } }),
    onSweep: (sweep, sweeps) => onProgress((0.9 * sweep) / sweeps, 'sampling', { sweep, sweeps }),
  });
  const swept = sweepDeployed(params, documentOf(params, inputs, fit), prepared, (fraction, ...rest) =>
    onProgress(0.9 + 0.1 * fraction, ...rest),
  );
  return {
    ...swept,
    model: { latent: 'K ~ N(0, 1)', inputs, children: fit.children },
    fit: {
      latent_acceptance: fit.acceptance.latent,
      poisson_acceptance: fit.acceptance.poisson,
      r_hat: fit.convergence.rHat,
      effective_samples: fit.convergence.effectiveSamples,
      published_mse: swept.points[0]?.mse ?? Number.NaN,
    },
  };
}
