/** What every fit of a lookahead predictor starts from and ends in, whatever its structural model. */

import { plainInputs } from '../../../shared/fairness/lookahead/compile.ts';
import type { PredictorDocument } from '../../../shared/fairness/predictors/document.ts';
import { encodeTable } from '../../../shared/fairness/predictors/encode.ts';
import type { Table } from '../../../shared/formats/table.ts';
import type { ParamsOf, ResultOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/fairness.fit_lookahead.ts';
import { numbersOf, takeRows } from '../table-input.ts';

export type FitParams = ParamsOf<typeof contract>;
type FitResult = ResultOf<typeof contract>;
export type FitPoint = FitResult['points'][number];
export type Baseline = FitResult['baselines'][number];

/** Complete rows, their attribute value numbers, and which of them are for training and for testing. */
export type PreparedRows = { table: Table; groupIds: Int32Array; train: Uint32Array; test: Uint32Array };
/** Told how far a fit is and what it is at. */
export type OnProgress = (fraction: number, stage: string, metrics: Record<string, number>) => void;

/** The parts of the job's result that depend on the model; `document` is the predictor of the first eta and rho. */
export type Fitted = Pick<FitResult, 'model' | 'fit' | 'baselines' | 'points' | 'moments'> & {
  document: PredictorDocument;
};

/** People as a predictor of plain columns sees them: n x inputs, their attribute value numbers, the observed status. */
export type People = { x: Float64Array; groupIds: Int32Array; y: Float64Array };

export function peopleOf(
  { table, groupIds }: PreparedRows,
  rows: Uint32Array,
  inputs: readonly string[],
  status: string,
): People {
  const own = takeRows(table, rows);
  return {
    x: encodeTable(own, plainInputs(inputs)),
    groupIds: Int32Array.from(rows, (i) => groupIds[i]!),
    y: numbersOf(own, status),
  };
}

export const meanSquare = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    sum += (a[i]! - b[i]!) ** 2;
  }
  return sum / a.length;
};
const mean = (values: Float64Array): number => values.reduce((sum, v) => sum + v, 0) / values.length;

type Gaps = { present: Float64Array; future: Float64Array; score: Float64Array };
/** Scores of `n` people and what is measured of them; `run` is one of the methods' predictions. */
export function measured(
  y: Float64Array,
  run: (scores: Float64Array, gaps: Gaps) => void,
): Pick<FitPoint, 'mse' | 'present_gap' | 'future_gap' | 'improvement' | 'score_gap'> {
  const [scores, present, future, score] = [0, 1, 2, 3].map(() => new Float64Array(y.length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  run(scores, { present, future, score });
  const gaps = { present_gap: mean(present), future_gap: mean(future), score_gap: mean(score) };
  return { mse: meanSquare(scores, y), ...gaps, improvement: improvementOf(gaps.present_gap, gaps.future_gap) };
}

/** The unfairness improvement ratio, 1 - AFCE / present gap; null where there is no gap to improve. */
const improvementOf = (present: number, future: number): number | null => (present > 0 ? 1 - future / present : null);

/** Every eta with every rho, the first of both first: that point is published. */
export const settingsOf = ({ eta, rho }: Pick<FitParams, 'eta' | 'rho'>): { eta: number; rho: number }[] =>
  eta.flatMap((e) => rho.map((r) => ({ eta: e, rho: r })));
