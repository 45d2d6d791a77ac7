/**
 * What a request will cost, from its sizes alone: timers stand still inside a Worker, so the decision whether a computation
 * fits is made before it begins, from unit costs that were measured once.
 */
import { SextantError } from '../contracts/problem.ts';
import { UNIT_NS } from './costs.generated.ts';
import type { RowCost } from './predictors/compiled.ts';

/**
 * CPU time that one synchronous request may take at the edge: enough for an audit of 1,000 rows by two attributes at default
 * options, far below the 30 s that a Worker has, so that others who wait for the isolate do not wait long.
 */
export const EDGE_BUDGET_MS = 500;

export type TableFormat = 'json' | 'csv' | 'arrow';
const BYTE_COST = { json: UNIT_NS.jsonByte, csv: UNIT_NS.csvByte, arrow: UNIT_NS.arrowByte };
const ms = (ns: number): number => ns / 1e6;

export const readingMs = (format: TableFormat, bytes: number): number => ms(bytes * BYTE_COST[format]);

/** Encoding, predicting and answering `rows` rows. */
export const predictionMs = (
  rows: number,
  features: number,
  { multiplyAdds, exponentials, answers }: RowCost,
): number =>
  ms(
    rows *
      (UNIT_NS.answerRow * answers +
        (2 * features + multiplyAdds) * UNIT_NS.multiplyAdd +
        exponentials * UNIT_NS.exponential),
  );

type AuditSize = {
  rows: number;
  /** Number of groups in each audited grouping, the intersection included. */
  groups: readonly number[];
  draws: number;
  permutations: number;
  thresholds: number;
  labelled: boolean;
  classified: boolean;
  /** Whether every attribute is audited once more within strata. */
  controlled?: boolean;
  /** Features by which neighbours are found; 0 without consistency. */
  features?: number;
  /** Heads of a gated predictor, the pooled one included; 0 without them. */
  heads?: number;
};

/** The bootstrap passes every row once per group comparison; permutations pass every pair's rows. */
export function auditMs(size: AuditSize): number {
  const { rows, groups, draws, permutations, thresholds, labelled, classified, heads = 0 } = size;
  const passes = 1 + thresholds + (labelled ? 1 : 0);
  const resampling = rows * (draws + 100);
  // Calibration resamples every grouping once more, inequality all rows at every threshold.
  const judged = labelled && classified;
  const calibration = judged ? groups.length * resampling * (UNIT_NS.resampledRow + UNIT_NS.statisticRow) : 0;
  const inequality = judged
    ? thresholds * resampling * (UNIT_NS.resampledRow + UNIT_NS.statisticRow * (1 + groups.length))
    : 0;
  const neighbours = Math.max(1, thresholds) * rows ** 2 * (size.features ?? 0) * UNIT_NS.multiplyAdd;
  const strata = size.controlled ? 2 : 1;
  // Learned groups are resampled with every head's loss, each attribute once more with one column of gaps.
  const preferences =
    heads === 0
      ? 0
      : ms(
          rows *
            (draws + 100) *
            (UNIT_NS.resampledRow * (1 + groups.length) + UNIT_NS.statisticRow * (heads + groups.length)),
        );
  return (
    preferences +
    ms(inequality + neighbours) +
    strata * ms(calibration) +
    ms(
      strata *
        groups.reduce((sum, count) => {
          const comparisons = Math.max(1, count - 1);
          const draw = UNIT_NS.resampledRow + UNIT_NS.statisticRow * (passes + comparisons);
          const permutation = comparisons * (UNIT_NS.permutedRow + UNIT_NS.statisticRow * passes);
          return sum + rows * (UNIT_NS.sortedRow + (draws + 100) * draw + permutations * permutation);
        }, 0),
    )
  );
}

/** Two steps on a layer of `m` outputs and `d` inputs: eigenproblems of both sizes and a few products. */
export const layerMs = (m: number, d: number, groups: number, steps = 1): number => {
  const pairs = (groups * (groups - 1)) / 2;
  const products = 4 * m * d * d + 4 * m * m * d;
  return ms(steps * (UNIT_NS.eigenCube * (2 * m ** 3 + pairs * d ** 3) + UNIT_NS.matrixCube * (pairs + 2) * products));
};
/** A symmetric solve of `d` unknowns. */
export const solveMs = (d: number): number => ms(UNIT_NS.matrixCube * d ** 3);
/** Group moments of `rows` rows of `d` features. */
export const momentsMs = (rows: number, d: number): number => ms(rows * d * d * UNIT_NS.multiplyAdd);
/** Sorting and mapping scores. */
export const mappingMs = (rows: number, groups: number): number =>
  ms(rows * (UNIT_NS.sortedRow + groups * UNIT_NS.exponential));

/** Raises computation_too_large, naming the job type to use instead, where the estimate is above the budget. */
export function requireFits(estimateMs: number, jobType: string): void {
  if (estimateMs <= EDGE_BUDGET_MS) {
    return;
  }
  throw new SextantError(
    'computation_too_large',
    `this needs about ${Math.ceil(estimateMs)} ms of CPU time, the edge allows ${EDGE_BUDGET_MS}; create a job of type ${jobType} instead`,
    { details: { job_type: jobType, estimate_ms: Math.ceil(estimateMs), budget_ms: EDGE_BUDGET_MS } },
  );
}
