/** A gated classifier on a table: chosen, guarded, and measured as it will be served. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { auditOptionsSchema, preferencesReport } from '../../../shared/fairness/audit/document.ts';
import { type Grouping, grouping, intersection } from '../../../shared/fairness/audit/groups.ts';
import { gatedDeviation, linearGateDimension } from '../../../shared/fairness/gated/demographics.ts';
import { guard } from '../../../shared/fairness/gated/guard.ts';
import { asServed, type GatedPredictor, scoreEveryHead } from '../../../shared/fairness/gated/predictor.ts';
import { gatedOf } from '../../../shared/fairness/predictors/compile.ts';
import type { GatedDocument } from '../../../shared/fairness/predictors/document.ts';
import type { InputEncoding } from '../../../shared/fairness/predictors/input.ts';
import { columnOf, columnTexts, type Table } from '../../../shared/formats/table.ts';
import type { ParamsOf, ResultOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/fairness.fit_gated.ts';
import { featureRows, learnFeatures, usableRows } from '../prepared.ts';
import { pick, pickRows, type Rows, splitRows, strataOf } from '../rows.ts';
import { binaryOf } from '../table-input.ts';
import { accuracy } from './classification-metrics.ts';
import { baselineScores, compareMethods, type Demographics, gatedScores } from './comparison.ts';
import { chooseGroups, route } from './gated-training.ts';
import { linearScores } from './linear-baselines.ts';
import { guardReport, methodReport } from './report.ts';

type Params = ParamsOf<typeof contract>;
type FittedGate = {
  document: GatedDocument;
  result: Omit<ResultOf<typeof contract>, 'table' | 'parts_file' | 'predictor'>;
  usedRows: number;
  metrics: { accuracy: number; pooled_accuracy: number; groups: number };
};

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

/** The demographic columns, and all of them together; null without any. */
function demographicGroupings(table: Table, names: readonly string[]): { each: Grouping[]; whole: Grouping | null } {
  const each = names.map((name) => grouping(name, columnTexts(columnOf(table, name))));
  return { each, whole: each.length > 1 ? intersection(each) : (each[0] ?? null) };
}

/** Levels of every grouping that have fewer test rows than something can be claimed of. */
const excludedGroups = (groupings: readonly Grouping[], rows: Uint32Array, minimum: number) =>
  groupings.flatMap(({ name, groupIds, levels }) => {
    const counts = new Array<number>(levels.length).fill(0);
    for (const i of rows) {
      counts[groupIds[i]!]! += 1;
    }
    return levels.flatMap((level, g) => (counts[g]! < minimum ? [{ attribute: name, level, count: counts[g]! }] : []));
  });

/** Raises `data_invalid` for tables that cannot be used. `onCandidate` is told after every K that was tried. */
export function fitGatedClassifier(
  params: Params,
  table: Table,
  onCandidate: (groups: number, validationLoss: number) => void,
): FittedGate {
  const { seed, restarts, steps, batch, l2 } = params;
  const options = { seed, restarts, steps, batch, l2 };
  const usable = usableRows(table, [params.label, ...params.demographics], params.features);
  const labels = binaryOf(usable, params.label, params.positive);
  const { each, whole } = demographicGroupings(usable, params.demographics);
  const positions = splitRows(strataOf(whole?.groupIds ?? new Int32Array(usable.rows), labels), params.split, seed);
  const [trainRows, , , testRows] = positions;
  if (!trainRows || !testRows || positions.some((part) => part.length === 0)) {
    throw new SextantError('data_invalid', `${usable.rows} rows are too few for the shares ${params.split.join(', ')}`);
  }
  const inputs = learnFeatures(usable, params.features, trainRows);
  const all = featureRows(usable, inputs, labels);
  const [train, validation, held, test] = positions.map((part) => pickRows(all, part)) as [Rows, Rows, Rows, Rows];

  const chosen = chooseGroups(train, validation, params.groups, options, (k, fit) =>
    onCandidate(k, fit.validationLoss),
  );
  const raw = chosen.fit.predictor;
  const guarded = guard(raw, held.x, held.y, route(raw.gate, raw.groups, held), params.guard);
  const document = documentOf(guarded.predictor, inputs);
  // Everything below is of the published document, not of what it was made from.
  const served = asServed(gatedOf(document));

  const groupIdsOf = (g: Grouping, rows: Uint32Array): Int32Array => Int32Array.from(pick(g.groupIds, rows));
  const demographics: Demographics | null = whole && {
    count: whole.levels.length,
    train: groupIdsOf(whole, trainRows),
    test: groupIdsOf(whole, testRows),
  };
  const pooled = linearScores(served.pooled, test);
  const methods = compareMethods(
    [
      { method: 'guarded', needsDemographics: false, scores: gatedScores(served, test) },
      { method: 'unguarded', needsDemographics: false, scores: gatedScores(raw, test) },
      { method: 'pooled', needsDemographics: false, scores: pooled },
      ...(params.baselines
        ? baselineScores(train, validation, test, demographics, { ...options, groups: raw.groups })
        : []),
    ],
    pooled,
    test,
    demographics,
    params.minimum_group,
  );
  const preferences = preferencesReport(
    {
      predictions: gatedScores(served, test),
      labels: test.y,
      groups: each.map((g) => ({ ...g, groupIds: groupIdsOf(g, testRows) })),
      routing: { routed: route(served.gate, served.groups, test), heads: scoreEveryHead(served, test.x) },
    },
    auditOptionsSchema.parse({ task: 'classification', minimum_group: params.minimum_group, seed }),
  );
  const { groups } = served;
  const untold = whole
    ? `fewer than two demographic groups have ${params.minimum_group} test rows; \`excluded\` says which have fewer`
    : 'no demographics were named';
  return {
    document,
    result: {
      inputs,
      candidates: chosen.losses.map(({ groups: k, validationLoss }) => ({
        groups: k,
        validation_loss: validationLoss,
      })),
      groups,
      shares: chosen.fit.shares,
      guard: guarded.decisions.map(guardReport),
      excluded: excludedGroups(whole && each.length > 1 ? [...each, whole] : each, testRows, params.minimum_group),
      corrected: guarded.predictor.serving.some((head) => head >= 0) && groups > 1,
      methods: methods.map((method) => methodReport(method, untold)),
      preferences,
      generalisation_bound: gatedDeviation(train.y.length, groups, linearGateDimension(groups, all.d), all.d + 1),
    },
    usedRows: usable.rows,
    metrics: {
      accuracy: accuracy(gatedScores(served, test), test.y),
      pooled_accuracy: accuracy(pooled, test.y),
      groups,
    },
  };
}
