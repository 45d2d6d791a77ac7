/** Handler of `lcf.fit`. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { estimateScm } from '../../shared/fairness/lookahead/estimate.ts';
import {
  compileLookahead,
  type LookaheadPredictor,
  predictLookahead,
} from '../../shared/fairness/lookahead/predictor.ts';
import { freeVariables, lookaheadMoments, refitLookahead } from '../../shared/fairness/lookahead/refit.ts';
import { abduct, type LinearScm } from '../../shared/fairness/lookahead/scm.ts';
import { futureGapPlot } from '../../shared/fairness/plots/audit-plots.ts';
import { attributeCodes, plainInputs, scmOf } from '../../shared/fairness/predictors/compile-lookahead.ts';
import { encodeTable, learnInputs } from '../../shared/fairness/predictors/encode.ts';
import type { LatentDocument, LookaheadDocument } from '../../shared/fairness/predictors/lookahead-document.ts';
import { columnOf, type Table } from '../../shared/formats/table.ts';
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/lcf.fit.ts';
import { leastSquares } from '../../shared/math/least-squares.ts';
import { toRows } from '../../shared/math/matrix.ts';
import { fitLatentKnowledge } from '../fairness/latent-knowledge.ts';
import {
  fitDeployed,
  type LatentRows,
  type LatentWorld,
  latentScore,
  latentScores,
} from '../fairness/latent-lookahead.ts';
import { predictorThing } from '../fairness/publish.ts';
import { splitRows } from '../fairness/rows.ts';
import { completeRows, numbersOf, openTable, tableReport, takeRows } from '../fairness/table-input.ts';
import { handle, type JobContext, type JobOutcome } from './handler.ts';

type Params = ParamsOf<typeof contract>;
type Outcome = JobOutcome<ResultOf<typeof contract>>;
type Prepared = {
  table: Table;
  codes: Int32Array;
  train: Uint32Array;
  test: Uint32Array;
  report: ResultOf<typeof contract>['table'];
  digest: string;
};

const meanSquare = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum / a.length;
};
const mean = (values: Float64Array): number => values.reduce((sum, v) => sum + v, 0) / values.length;
/** The sweep over rho at the first eta, as a plot. */
async function plotSweep({ artefact, params }: JobContext<Params>, points: Outcome['result']['points']): Promise<void> {
  const measured = points.filter((p) => p.eta === params.eta[0]).map((p) => ({ rho: p.rho, gap: p.future_gap }));
  const svg = futureGapPlot(points[0]!.present_gap, measured);
  await artefact('future-gap.svg', 'image/svg+xml', new TextEncoder().encode(svg));
}
const run = (seed: number) => ({ device: 'cpu', dtype: 'float64', seed, tolerance: null });

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openTable(context, params.table);
  const { model, attribute, status } = params;
  const used =
    'latent' in model
      ? [...model.latent.children.map((c) => c.name), ...model.latent.covariates]
      : 'estimate' in model
        ? model.estimate.map((v) => v.name)
        : model.coefficients.variables.map((v) => v.name);
  const complete = completeRows(opened.table, [...new Set([attribute.column, status, ...used])]);
  const codes = attributeCodes(complete, attribute.column, attribute.labels);
  const parts = splitRows(complete.rows, [1 - params.test_share, params.test_share], params.seed);
  const [train, test] = params.test_share === 0 ? [parts[0]!, parts[0]!] : (parts as [Uint32Array, Uint32Array]);
  const prepared = {
    table: complete,
    codes,
    train,
    test,
    report: tableReport(opened, complete.rows),
    digest: opened.digest,
  };
  return 'latent' in model ? latent(context, prepared, model.latent) : linear(context, prepared);
});

async function linear(
  context: JobContext<Params>,
  { table, codes, train, test, report, digest }: Prepared,
): Promise<Outcome> {
  const { params, artefact, progress } = context;
  const { attribute, status, model } = params;
  const values = attribute.values ?? attribute.labels.map((_, b) => b);
  if (values.length !== attribute.labels.length) {
    throw new SextantError('data_invalid', `${attribute.labels.length} attribute labels need as many values`);
  }
  const pickCodes = (rows: Uint32Array) => Int32Array.from(rows, (i) => codes[i]!);
  const trainTable = takeRows(table, train);
  let scm: LinearScm;
  let fit: Record<string, number> = {};
  if ('coefficients' in model) scm = scmOf(model.coefficients);
  else if ('estimate' in model) {
    const columns = Object.fromEntries(model.estimate.map(({ name }) => [name, numbersOf(trainTable, name)]));
    const estimated = estimateScm(model.estimate, status, values, columns, pickCodes(train));
    scm = estimated.scm;
    fit = estimated.rSquared;
  } else throw new SextantError('data_invalid', 'a linear model needs a shape or coefficients');
  const base: LookaheadPredictor = {
    scm,
    eta: params.eta[0]!,
    rho: params.rho[0]!,
    statusObserved: params.status_observed,
    noise: { mean: 0, variance: 1 },
    ...(params.path && { path: params.path }),
    p2: 0,
    p3: 0,
    free: {},
  };
  const compiled = compileLookahead(base);
  const part = (rows: Uint32Array) => {
    const own = takeRows(table, rows);
    return { x: encodeTable(own, plainInputs(compiled.inputs)), codes: pickCodes(rows), y: numbersOf(own, status) };
  };
  const [fitted, held] = [part(train), part(test)];
  const moments = lookaheadMoments(compiled, fitted.x, fitted.codes, fitted.y);
  const points: Outcome['result']['points'] = [];
  let published: LookaheadPredictor | undefined;
  for (const eta of params.eta) {
    for (const rho of params.rho) {
      const refit = refitLookahead(base, moments, { eta, rho });
      published ??= refit.predictor;
      const [scores, present, future] = [0, 1, 2].map(() => new Float64Array(held.y.length)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      predictLookahead(compileLookahead(refit.predictor), held.x, held.codes, scores, { present, future });
      points.push({
        eta,
        rho,
        constant: refit.constant,
        p1: refit.p1,
        mse: meanSquare(scores, held.y),
        present_gap: mean(present),
        future_gap: mean(future),
      });
      progress({ fraction: points.length / (params.eta.length * params.rho.length), stage: 'fitting', metrics: {} });
    }
  }
  // Predictors linear in X or in U have the same gradient in both worlds: the gap that is there stays.
  const gap = points[0]!.present_gap;
  const plain = (method: string, columns: (of: typeof held) => { x: Float64Array; d: number }) => {
    const [a, b] = [columns(fitted), columns(held)];
    const { intercept, coefficients } = leastSquares(a.x, fitted.y, a.d, { ridge: 1e-9 });
    const scores = held.y.map((_, i) => coefficients.reduce((sum, c, j) => sum + c * b.x[i * b.d + j]!, intercept));
    return { method, mse: meanSquare(scores, held.y), present_gap: gap, future_gap: gap };
  };
  const width = compiled.inputs.length;
  const keep = compiled.inputs.flatMap((name, j) => (name === status ? [] : [j]));
  const free = freeVariables(compiled).filter((name) => name !== status);
  const baselines = [
    plain('linear_in_features', ({ x }) => {
      const n = x.length / width;
      const out = new Float64Array(n * keep.length);
      for (let i = 0; i < n; i++) for (const [at, j] of keep.entries()) out[i * keep.length + at] = x[i * width + j]!;
      return { x: out, d: keep.length };
    }),
    plain('counterfactually_fair', ({ x, codes: own }) => {
      const { order, index } = compiled.scm;
      const n = own.length;
      const [row, u] = [new Float64Array(order.length), new Float64Array(order.length)];
      const out = new Float64Array(n * free.length);
      for (let i = 0; i < n; i++) {
        row.fill(Number.NaN);
        for (const [j, name] of compiled.inputs.entries()) row[index.get(name)!] = x[i * width + j]!;
        abduct(compiled.scm, row, own[i]!, 0, u);
        for (const [at, name] of free.entries()) out[i * free.length + at] = u[index.get(name)!]!;
      }
      return { x: out, d: free.length };
    }),
  ];
  const document: LookaheadDocument = {
    kind: 'lookahead',
    scm: {
      values: [...scm.values],
      status: scm.status,
      variables: scm.variables.map((v) => ({ ...v, parents: { ...v.parents }, effects: [...v.effects] })),
    },
    attribute: { name: attribute.column, labels: attribute.labels },
    eta: published!.eta,
    rho: published!.rho,
    status_observed: params.status_observed,
    noise: { mean: 0, variance: 1 },
    ...(params.path && { path: params.path }),
    p2: published!.p2,
    p3: published!.p3,
    free: { ...published!.free },
  };
  const origin = {
    method: 'lcf.fit',
    params: { eta: document.eta, rho: document.rho },
    seed: params.seed,
    dataDigest: digest,
  };
  const thing = await predictorThing(document, origin, artefact);
  await plotSweep(context, points);
  const first = points[0]!;
  return {
    result: {
      table: report,
      model: document.scm,
      fit,
      baselines,
      points,
      moments: { count: moments.count, free: moments.free, second: toRows(moments.second) },
      predictor: thing.id,
    },
    things: [thing.manifest],
    metrics: { mse: first.mse, present_gap: first.present_gap, future_gap: first.future_gap },
    run: run(params.seed),
  };
}

async function latent(
  context: JobContext<Params>,
  { table, codes, train, test, report, digest }: Prepared,
  model: Extract<Params['model'], { latent: unknown }>['latent'],
): Promise<Outcome> {
  const { params, progress, artefact } = context;
  const values = params.attribute.labels.length;
  const inputs = learnInputs(table, model.covariates, { dropFirst: true }).map((input) =>
    input.kind === 'number' ? input : { ...input, unknown: 'zeros' as const },
  );
  const extra = inputs.length ? encodeTable(table, inputs) : new Float64Array(0);
  const width = inputs.reduce((sum, input) => sum + (input.kind === 'number' ? 1 : input.levels.length), 0);
  const p = values - 1 + width;
  const n = table.rows;
  const attributes = new Float64Array(n * p);
  for (let i = 0; i < n; i++) {
    if (codes[i]! > 0) attributes[i * p + codes[i]! - 1] = 1;
    attributes.set(extra.subarray(i * width, (i + 1) * width), i * p + values - 1);
  }
  for (const child of model.children) columnOf(table, child.name);
  const y = numbersOf(table, params.status);
  const children = [
    ...model.children.map(({ name, family }) => ({ name, family, values: numbersOf(table, name) })),
    { name: params.status, family: 'gaussian' as const, values: y },
  ];
  const fit = fitLatentKnowledge(
    { n, p, attributes, children },
    {
      burnIn: model.burn_in,
      samples: model.samples,
      seed: params.seed,
      keepLatent: true,
      ...(model.status_variance !== null && { fixedVariance: { [params.status]: model.status_variance } }),
      onSweep: (sweep, sweeps) =>
        progress({ fraction: (0.9 * sweep) / sweeps, stage: 'sampling', metrics: { sweep, sweeps } }),
    },
  );
  const own = fit.children.at(-1)!;
  const effect = (b: number): number => (b === 0 ? 0 : own.attributes[b - 1]!);
  const world: LatentWorld = {
    fit,
    draws: Math.min(fit.samples, 50),
    codes,
    y,
    values,
    weight: own.weight,
    offset(i, b) {
      let value = own.intercept + effect(b);
      for (let j = 0; j < width; j++) value += own.attributes[values - 1 + j]! * extra[i * width + j]!;
      return value;
    },
  };
  const points = params.eta.flatMap((eta) =>
    params.rho.map((rho) => {
      const s = latentScore(world, train, test, { eta, rho });
      return {
        eta,
        rho,
        constant: s.constant,
        p1: s.p1,
        mse: s.mse,
        present_gap: s.presentGap,
        future_gap: s.futureGap,
      };
    }),
  );
  await plotSweep(context, points);
  const equation = ({ name, intercept, attributes: own, weight }: (typeof fit.children)[number]) => ({
    name,
    intercept,
    effects: [0, ...own.slice(0, values - 1)],
    covariates: own.slice(values - 1),
    weight,
  });
  const deviation = (child: (typeof fit.children)[number]): number => Math.sqrt(child.variance!);
  const document: LatentDocument = {
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
    status: { ...equation(own), deviation: params.status_observed ? deviation(own) : null },
    eta: params.eta[0]!,
    rho: params.rho[0]!,
    p2: 0,
    p3: 0,
    free: 0,
  };
  const shown = [...model.children.map((child) => child.name), ...(params.status_observed ? [params.status] : [])];
  const seen = (rows: Uint32Array): LatentRows => {
    const part = takeRows(table, rows);
    return {
      rows: encodeTable(part, plainInputs(shown)),
      features: inputs.length ? encodeTable(part, inputs) : new Float64Array(0),
      codes: Int32Array.from(rows, (i) => codes[i]!),
      y: Float64Array.from(rows, (i) => y[i]!),
    };
  };
  const held = seen(test);
  const deployed = fitDeployed({ ...document, values, covariates: width }, seen(train));
  const { p2, p3, free } = deployed;
  const origin = {
    method: 'lcf.fit',
    params: { eta: document.eta, rho: document.rho },
    seed: params.seed,
    dataDigest: digest,
  };
  const thing = await predictorThing({ ...document, p2, p3, free }, origin, artefact);
  const fair = latentScore(world, train, test, { eta: params.eta[0]!, rho: 0, counterfactual: true });
  return {
    result: {
      table: report,
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
      predictor: thing.id,
    },
    things: [thing.manifest],
    metrics: { mse: points[0]!.mse, present_gap: points[0]!.present_gap, future_gap: points[0]!.future_gap },
    run: run(params.seed),
  };
}
