/** What a predictor is once its document is checked, whatever its kind. */
import type { Table } from '../../formats/table.ts';
import type { PredictorDocument } from './document.ts';

/** Multiply-adds, transcendental functions and answered numbers (beside routes) per row. */
export type RowCost = { multiplyAdds: number; exponentials: number; answers: number };
export type Prediction = {
  scores: Float64Array;
  /** Learned group of every row (gated). */
  routed?: Uint8Array;
  /** 1 where the row is accepted; its score is then the probability of that (group thresholds). */
  decisions?: Uint8Array;
  /** Each person's mean |gap| to the counterfactual worlds, now and after the reaction (lookahead). */
  presentGap?: Float64Array;
  futureGap?: Float64Array;
  /** Rows whose level of a column the predictor does not know and takes as none of its levels. */
  unknownLevels?: { column: string; rows: number }[];
};
export type CompiledPredictor = {
  kind: PredictorDocument['kind'];
  /** Columns a table must have. */
  columns: readonly string[];
  /** Those of them whose cells are labels, whatever they look like. */
  textColumns: readonly string[];
  /** The column whose values are group labels, for kinds that need them. */
  attribute: string | null;
  features: number;
  cost: RowCost;
  predict(table: Table): Prediction;
};
