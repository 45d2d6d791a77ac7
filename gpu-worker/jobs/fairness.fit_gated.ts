/** Handler of `fairness.fit_gated`. */
import type { z } from 'zod';
import { auditOptionsSchema, preferencesReport } from '../../shared/fairness/audit/document.ts';
import { type Grouping, grouping, intersection } from '../../shared/fairness/audit/groups.ts';
import { gatedDeviation, linearGateDimension } from '../../shared/fairness/gated/demographics.ts';
import { guard } from '../../shared/fairness/gated/guard.ts';
import { type GatedPredictor, predictGated, scoreEveryHead } from '../../shared/fairness/gated/predictor.ts';
import type { GatedDocument } from '../../shared/fairness/predictors/document.ts';
import { encodeTable, featureCount, learnInputs } from '../../shared/fairness/predictors/encode.ts';
import type { InputEncoding } from '../../shared/fairness/predictors/input.ts';
import { columnOf, columnTexts } from '../../shared/formats/table.ts';
import contract, { type dafhMethodSchema } from '../../shared/jobs/fairness.fit_gated.ts';
import { accuracy, areaUnderCurve, demographicSummary } from '../fairness/classification-metrics.ts';
import { chooseGroups, route, trainGated } from '../fairness/gated-training.ts';
import * as baselines from '../fairness/linear-baselines.ts';
import { publishedPredictor } from '../fairness/publish.ts';
import { pick, pickRows, type Rows, splitRows } from '../fairness/rows.ts';
import { binaryOf, completeRows, openTable, tableReport, takeRows } from '../fairness/table-input.ts';
import { handle } from './handler.ts';

const nested = (values: Float64Array, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, k) => Array.from(values.subarray(k * width, (k + 1) * width)));

const documentOf = (p: GatedPredictor, inputs: InputEncoding[]): GatedDocument => ({
  kind: 'gated',
  inputs,
  link: p.link,
  gate: nested(p.gate, p.features + 1),
  heads: nested(p.heads, p.features + 1),
  pooled: [...p.pooled],
  serving: [...p.serving],
});
const scoresOf = (p: GatedPredictor, rows: Rows): Float64Array => {
  const scores = new Float64Array(rows.y.length);
  predictGated(p, rows.x, scores, new Uint8Array(rows.y.length));
  return scores;
};

export default handle(contract, async ({ params, input, artefact, progress }) => {
  const { features, seed } = params;
  const opened = await openTable({ input }, params.table);
  const table = completeRows(opened.table, [
    params.label,
    ...params.demographics,
    ...(features.missing === 'drop' ? features.columns : []),
  ]);
  const labels = binaryOf(table, params.label, params.positive);
  const total = params.split.reduce((a, b) => a + b, 0);
  const positions = splitRows(
    table.rows,
    params.split.map((share) => share / total),
    seed,
  );
  const inputs = learnInputs(takeRows(table, positions[0]!), features.columns, {
    categorical: features.categorical,
    dropFirst: features.drop_first,
  }).map((i) =>
    // A level that training rows happen to lack must not refuse a row of the other parts.
    i.kind === 'category' ? { ...i, unknown: 'zeros' as const } : i,
  );
  const all: Rows = { x: encodeTable(table, inputs), y: labels, d: featureCount(inputs) };
  const [train, validation, held, test] = positions.map((part) => pickRows(all, part)) as [Rows, Rows, Rows, Rows];
  const options = { restarts: params.restarts, steps: params.steps, batch: params.batch, l2: params.l2, seed };
  let done = 0;
  const chosen = chooseGroups(train, validation, params.groups, options, (groups, { validationLoss }) => {
    done += 1;
    progress({
      fraction: (0.7 * done) / (params.groups.length + 1),
      stage: 'training',
      metrics: { groups, validation_loss: validationLoss },
    });
  });
  const raw = chosen.fit.predictor;
  const { predictor, decisions } = guard(raw, held.x, held.y, route(raw.gate, raw.groups, held), params.guard);

  const each: Grouping[] = params.demographics.map((name) => grouping(name, columnTexts(columnOf(table, name))));
  const whole = each.length > 1 ? intersection(each) : each[0];
  const codesOf = (part: Uint32Array): Int32Array | null => (whole ? Int32Array.from(pick(whole.codes, part)) : null);
  const [trainCodes, testCodes] = [codesOf(positions[0]!), codesOf(positions[3]!)];
  const pooled = baselines.linearScores(raw.pooled, test);
  const methods: z.output<typeof dafhMethodSchema>[] = [];
  const compare = (method: string, needs: boolean, scores: Float64Array): void => {
    const auc = areaUnderCurve(scores, test.y);
    const summary =
      whole && testCodes
        ? demographicSummary(scores, pooled, test.y, testCodes, whole.levels.length, params.minimum_group)
        : null;
    methods.push({
      method,
      needs_demographics: needs,
      accuracy: accuracy(scores, test.y),
      auc: Number.isFinite(auc) ? auc : null,
      worst_demographic_gap: summary?.worstGap ?? null,
      worst_group_accuracy: summary?.worstAccuracy ?? null,
      disparity: summary?.disparity ?? null,
    });
  };
  const served = scoresOf(predictor, test);
  compare('guarded', false, served);
  compare('unguarded', false, scoresOf(raw, test));
  compare('pooled', false, pooled);
  if (params.baselines) {
    if (whole && trainCodes && testCodes) {
      const models = baselines.decoupled(train, trainCodes, whole.levels.length, params.l2);
      compare('decoupled', true, baselines.decoupledScores(models, test, testCodes));
    }
    const experts = trainGated(train, validation, {
      ...options,
      groups: Math.max(2, raw.groups),
      objective: 'mixture',
    });
    compare('mixture_of_experts', false, scoresOf(experts.predictor, test));
    compare(
      'adversarially_reweighted',
      false,
      baselines.linearScores(baselines.adversariallyReweighted(train, { seed }), test),
    );
    compare(
      'distributionally_robust',
      false,
      baselines.linearScores(baselines.distributionallyRobust(train, 0.5, { seed }), test),
    );
  }
  progress({ fraction: 0.9, stage: 'auditing', metrics: {} });
  const routed = route(predictor.gate, predictor.groups, test);
  const preferences = preferencesReport(
    {
      predictions: served,
      labels: test.y,
      groups: each.map((g) => ({ ...g, codes: Int32Array.from(pick(g.codes, positions[3]!)) })),
      routing: { routed, heads: scoreEveryHead(predictor, test.x) },
    },
    auditOptionsSchema.parse({ task: 'classification', minimum_group: params.minimum_group, seed }),
  );
  const origin = {
    method: 'fairness.fit_gated',
    params: { groups: predictor.groups, guard: params.guard },
    seed,
    dataDigest: opened.digest,
  };
  const published = await publishedPredictor(documentOf(predictor, inputs), origin, artefact);
  return {
    result: {
      table: tableReport(opened, table.rows),
      inputs,
      candidates: chosen.losses.map(({ groups, validationLoss }) => ({ groups, validation_loss: validationLoss })),
      groups: predictor.groups,
      shares: chosen.fit.shares,
      guard: decisions.map(({ worstP, ...d }) => ({
        ...d,
        own: d.count ? d.own : 0,
        pooled: d.count ? d.pooled : 0,
        worst_p: worstP,
      })),
      methods,
      preferences,
      generalisation_bound: gatedDeviation(
        train.y.length,
        predictor.groups,
        linearGateDimension(predictor.groups, all.d),
        all.d + 1,
      ),
      predictor: published.id,
    },
    published: [published.manifest],
    metrics: { accuracy: methods[0]!.accuracy, pooled_accuracy: accuracy(pooled, test.y), groups: predictor.groups },
    run: { device: 'cpu', dtype: 'float64', seed, tolerance: null },
  };
});
