/** Checks a structural model and what is asked of its score before anything is fitted: a job with a cycle never starts. */
import { dataError, placed } from '../data-error.ts';
import { featureCount } from '../predictors/encode.ts';
import { lookaheadOf } from './compile.ts';
import { quadraticCoefficient, requireEta } from './constants.ts';
import type { LatentDocument, LookaheadDocument } from './document.ts';
import type { FitModelOf, LookaheadFit } from './fit.ts';
import { compileLatent } from './latent.ts';
import { compileMultiplicative, type MultiplicativePredictor } from './multiplicative.ts';
import { compileLookahead } from './predictor.ts';
import { compileScm } from './scm.ts';

/** The numbers of the attribute's values in the model. */
export const attributeValues = ({ attribute }: LookaheadFit): number[] =>
  attribute.values ?? attribute.labels.map((_, b) => b);

/** The score before it is fitted: the first eta and rho, and nothing free. */
const unfitted = ({ eta, rho }: LookaheadFit) => ({ eta: eta[0]!, rho: rho[0]!, p2: 0, p3: 0 });
const attributeOf = ({ attribute }: LookaheadFit) => ({ name: attribute.column, labels: attribute.labels });

/** A document of an additive model with given coefficients. */
export const additiveDocument = (
  params: LookaheadFit,
  { coefficients, noise, outer, curve, lowest }: FitModelOf<'coefficients'>,
): LookaheadDocument => ({
  kind: 'lookahead',
  scm: coefficients,
  attribute: attributeOf(params),
  ...unfitted(params),
  status_observed: params.status_observed,
  noise,
  ...(params.path && { path: params.path }),
  ...(outer && { outer }),
  ...(curve && { curve }),
  ...(lowest !== undefined && { lowest }),
  free: {},
});

export const multiplicativeOf = (
  params: LookaheadFit,
  { multiplicative }: FitModelOf<'multiplicative'>,
): MultiplicativePredictor => ({
  ...multiplicative,
  values: attributeValues(params) as unknown as readonly [number, number],
  statusObserved: params.status_observed,
  ...unfitted(params),
  free: 0,
});

export const knowledgeDocument = (params: LookaheadFit, { knowledge }: FitModelOf<'knowledge'>): LatentDocument => ({
  kind: 'lookahead_latent',
  attribute: attributeOf(params),
  ...knowledge,
  ...unfitted(params),
  free: 0,
});

const prefixed = (from: string, to: string, pointer: string): string | undefined =>
  pointer === from || pointer.startsWith(`${from}/`) ? `${to}${pointer.slice(from.length)}` : undefined;

/** Checks the model with one eta, which stands at place `k`, and the first rho. */
function checkModel(params: LookaheadFit, k: number): void {
  const setting = (at: string): string | undefined =>
    at === '/eta' ? `/eta/${k}` : at === '/rho' ? '/rho/0' : undefined;
  const { model, status } = params;
  if ('estimate' in model) {
    const variables = model.estimate.map(({ name, parents }) => ({
      name,
      intercept: 0,
      parents: Object.fromEntries(parents.map((parent) => [parent, 1])),
      effects: attributeValues(params).map(() => 0),
      scale: 1,
    }));
    placed(
      (at) =>
        prefixed('/scm/variables', '/model/estimate', at) ?? (at === '/scm/status' ? '/status' : '/attribute/values'),
      () => compileScm({ values: attributeValues(params), status, variables }),
    );
  } else if ('coefficients' in model) {
    placed(
      (at) =>
        setting(at) ??
        prefixed('/scm', '/model/coefficients', at) ??
        (/^\/(outer|curve|lowest)/.test(at) ? `/model${at}` : at),
      () => compileLookahead(lookaheadOf(additiveDocument(params, model))),
    );
  } else if ('multiplicative' in model) {
    placed(
      (at) => setting(at) ?? (at === '/values' ? '/attribute/values' : `/model/multiplicative${at}`),
      () => compileMultiplicative(multiplicativeOf(params, model)),
    );
  } else if ('latent' in model) {
    const names = model.latent.children.map((child) => child.name);
    names.forEach((name, k) => {
      if (name === status || names.indexOf(name) !== k) {
        throw dataError('scm_invalid', `/model/latent/children/${k}/name`, `two variables are called ${name}`);
      }
    });
  } else {
    const { knowledge } = model;
    placed(
      (at) => setting(at) ?? `/model/knowledge${at}`,
      () =>
        compileLatent({
          ...knowledgeDocument(params, model),
          values: params.attribute.labels.length,
          covariates: featureCount(knowledge.covariates),
        }),
    );
  }
}

/** Raises `data_invalid` with a pointer into the params for a model or a setting that cannot work. */
export function checkLookaheadFit(params: LookaheadFit): void {
  const { attribute, status, model, eta, rho, status_observed: observed, path } = params;
  eta.forEach((value, k) => {
    placed(
      () => `/eta/${k}`,
      () => requireEta(value),
    );
  });
  rho.forEach((value, k) => {
    placed(
      () => `/rho/${k}`,
      () => quadraticCoefficient(1, value),
    );
  });
  const count = attribute.labels.length;
  attribute.labels.forEach((label, k) => {
    if (attribute.labels.indexOf(label) !== k) {
      throw dataError('scm_invalid', `/attribute/labels/${k}`, `two values of the attribute have the label "${label}"`);
    }
  });
  if (attribute.values && attribute.values.length !== count) {
    throw dataError('scm_invalid', '/attribute/values', `${count} labels need as many values`);
  }
  if (path && !('estimate' in model || 'coefficients' in model)) {
    throw dataError('scm_invalid', '/path', 'paths are told apart in additive models only');
  }
  const given: [string, { status: string }] | null =
    'coefficients' in model
      ? ['/model/coefficients/status', model.coefficients]
      : 'multiplicative' in model
        ? ['/model/multiplicative/status/name', { status: model.multiplicative.status.name }]
        : 'knowledge' in model
          ? ['/model/knowledge/status/name', { status: model.knowledge.status.name }]
          : null;
  if (given && given[1].status !== status) {
    throw dataError('scm_invalid', given[0], `the status of the model is ${given[1].status}, the job's is ${status}`);
  }
  if ('multiplicative' in model && !(attribute.values && count === 2)) {
    throw dataError('scm_invalid', '/attribute', 'an attribute that scales has two labels and two values');
  }
  if ('coefficients' in model && attribute.values && String(attribute.values) !== String(model.coefficients.values)) {
    throw dataError('scm_invalid', '/attribute/values', 'the model has other values; leave these out or repeat them');
  }
  if ('knowledge' in model && observed !== (model.knowledge.status.deviation !== null)) {
    throw dataError(
      'scm_invalid',
      '/status_observed',
      'a status that rows carry has a deviation, one that they do not carry has none',
    );
  }
  eta.forEach((value, k) => {
    checkModel({ ...params, eta: [value] }, k);
  });
}
