/** A table as fits of predictors take it: the rows they can use, divided into parts, with their features. */
import type { Features } from '../../shared/contracts/table.ts';
import { encodeTable, featureCount, learnInputs } from '../../shared/fairness/predictors/encode.ts';
import type { InputEncoding } from '../../shared/fairness/predictors/input.ts';
import type { Table } from '../../shared/formats/table.ts';
import type { Rows } from './rows.ts';
import { completeRows } from './table-input.ts';

/** The rows that have a value in every column of `needed` and, where missing features drop rows, in every feature. */
export const usableRows = (table: Table, needed: readonly string[], features: Features): Table =>
  completeRows(table, [...needed, ...(features.missing === 'drop' ? features.columns : [])]);

/**
 * How the feature columns become numbers. Levels, and whether cells may be missing, are learned from all rows: they are no
 * labels, and a level that a part happens to lack must fail no fit. Means and deviations are of the training rows. A level
 * that no row has is no feature at prediction, where it is counted.
 */
export const learnFeatures = (table: Table, features: Features, train: Uint32Array): InputEncoding[] =>
  learnInputs(table, features.columns, {
    categorical: features.categorical,
    dropFirst: features.drop_first,
    numbersFrom: train,
  }).map((input) => (input.kind === 'category' ? { ...input, unknown: 'zeros' as const } : input));

/** Encoded features with the outcome `y` of every row. */
export const featureRows = (table: Table, inputs: readonly InputEncoding[], y: Float64Array): Rows => ({
  x: encodeTable(table, inputs),
  y,
  d: featureCount(inputs),
});
