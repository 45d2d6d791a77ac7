/** Fair regression on a table: a network, every correction of it, and the one that is published. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { ksNoiseFloor } from '../../../shared/fairness/audit/attribute.ts';
import { eligibleGroups, type Grouping, grouping } from '../../../shared/fairness/audit/groups.ts';
import { distributionPlot, frontierPlot } from '../../../shared/fairness/audit/plots.ts';
import type { NetworkDocument } from '../../../shared/fairness/predictors/document.ts';
import { forwardNetwork } from '../../../shared/fairness/predictors/network.ts';
import { columnOf, columnTexts, type Table } from '../../../shared/formats/table.ts';
import type { ParamsOf, ResultOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/fairness.edit_layer.ts';
import { featureRows, learnFeatures, usableRows } from '../prepared.ts';
import { networkDocument } from '../publish.ts';
import { pick, pickRows, splitRows, strataOf } from '../rows.ts';
import { numbersOf, takeRows } from '../table-input.ts';
import { type Part, type Parts, type SweepPoint, sweepLayer } from './layer-sweep.ts';
import { type NetworkSource, networkFor, type PublishedNetwork } from './network-source.ts';
import { pointLabel, sweepReport } from './report.ts';

type Params = ParamsOf<typeof contract>;
type EditedLayer = {
  document: NetworkDocument;
  /** What the published manifest says of how it was made. */
  method: { c1: number | null; c2: number | null; method: string; layer: number };
  result: Omit<ResultOf<typeof contract>, 'table' | 'parts_file' | 'predictor'>;
  plots: Record<string, string>;
  usedRows: number;
  device: string;
  before: SweepPoint;
  after: SweepPoint;
};

/** Rows that a group must have to be compared, and groups that are compared at most. */
const [SMALLEST_GROUP, MOST_GROUPS] = [20, 16];

const variance = (y: Float64Array): number => {
  const mean = y.reduce((sum, value) => sum + value, 0) / y.length;
  return y.reduce((sum, value) => sum + (value - mean) ** 2, 0) / y.length;
};
const countOf = (groupIds: ArrayLike<number>, g: number): number =>
  Array.from(groupIds).reduce((sum, id) => sum + Number(id === g), 0);

/** Refuses a network that would read what it is to predict, or the group that it promises not to need. */
function requireBlind(inputs: readonly { name: string }[], { target, group }: Params): void {
  const read = inputs.find(({ name }) => name === target || name === group);
  if (!read) {
    return;
  }
  const what = read.name === target ? 'target' : 'group';
  const detail = `the predictor reads ${read.name}, the ${what}; one that reads other columns is needed`;
  throw new SextantError('data_invalid', detail, {
    errors: [{ pointer: '/network/predictor', code: 'column_unexpected', detail }],
  });
}

/** Rows of the groups that are large enough, their group ids, and the groups that are not. */
function groupedRows(
  table: Table,
  params: Params,
): { kept: Table; group: Grouping; excluded: { level: string; count: number }[] } {
  const usable = usableRows(table, [params.target, params.group], params.features);
  const eligible = eligibleGroups(groupsOf(usable, params.group), SMALLEST_GROUP, MOST_GROUPS);
  const kept = takeRows(usable, eligible.rows.slice().sort());
  return { kept, group: groupsOf(kept, params.group), excluded: eligible.excluded };
}
const groupsOf = (table: Table, name: string): Grouping => grouping(name, columnTexts(columnOf(table, name)));

/** Raises `data_invalid` for tables and networks that cannot be used, `input_not_found`. */
export async function fitEditedLayer(
  params: Params,
  table: Table,
  published: PublishedNetwork | null,
  source: NetworkSource,
  onEdit: (done: number, of: number) => void,
): Promise<EditedLayer> {
  const { kept, group, excluded } = groupedRows(table, params);
  const groups = group.levels.length;
  const target = numbersOf(kept, params.target);
  const positions = splitRows(strataOf(group.groupIds, target), params.split, params.seed);
  const [trainRows] = positions;
  if (!trainRows || positions.some((part) => part.length === 0)) {
    throw new SextantError('data_invalid', `${kept.rows} rows are too few for the shares ${params.split.join(', ')}`);
  }
  const inputs = published?.inputs ?? learnFeatures(kept, params.features, trainRows);
  requireBlind(inputs, params);
  const all = featureRows(kept, inputs, target);
  const parts = positions.map(
    (rows): Part => ({
      rows: pickRows(all, rows),
      groupIds: Int32Array.from(pick(group.groupIds, rows)),
    }),
  );
  const [train, validation, test] = parts as [Part, Part, Part];
  const divided: Parts = { train, validation, test };
  const { network, device } = published
    ? { network: published.network, device: 'cpu' }
    : await networkFor(params.network, inputs, train.rows, params.seed, source);
  const sweep = sweepLayer(
    network,
    divided,
    groups,
    {
      layer: params.layer,
      c1: params.c1,
      c2: params.c2,
      refit: params.refit,
      covarianceAt: params.covariance_at,
      errorAllowance: params.error_allowance,
    },
    onEdit,
  );
  const [before, after] = [sweep.points[0], sweep.points[sweep.chosen]];
  if (!before || !after?.network) {
    throw new RangeError('a sweep publishes one of its networks');
  }
  const reported = sweepReport(sweep, group.levels, divided);
  const { method, c1, c2 } = reported.points[sweep.chosen] ?? { method: after.method, c1: null, c2: null };
  const [largest = 0, second = 0] = group.levels.map((_, g) => countOf(test.groupIds, g)).sort((a, b) => b - a);
  const scores = (net: typeof network) => forwardNetwork(net, test.rows.x, test.rows.y.length);
  const drawn = sweep.points.map((p) => ({
    error: p.validation.mse,
    unfairness: p.validation.ks,
    label: pointLabel(p),
  }));
  return {
    document: networkDocument(after.network, inputs),
    method: { c1, c2, method, layer: sweep.layer },
    result: {
      groups: group.levels.map((level, g) => ({ level, count: countOf(group.groupIds, g) })),
      excluded,
      inputs,
      target_variance: variance(test.rows.y),
      ...reported,
      ks_noise_floor: second > 0 ? ksNoiseFloor(largest, second) : 1,
    },
    plots: {
      'frontier.svg': frontierPlot(drawn, sweep.frontier, sweep.chosen),
      'distributions.svg': distributionPlot(
        { ...group, groupIds: test.groupIds },
        scores(after.network),
        scores(network),
      ),
    },
    usedRows: kept.rows,
    device,
    before,
    after,
  };
}
