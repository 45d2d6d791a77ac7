/** Tables into feature matrices, as a predictor's inputs say; nothing about a table is guessed at prediction time. */
import { jsonPointer } from '../../contracts/problem.ts';
import { booleanText, booleanValues, type Column, columnOf, rowNumber, type Table } from '../../formats/table.ts';
import { dataError, requireSquarable } from '../data-error.ts';
import type { InputEncoding } from './input.ts';

/** Number of features that the inputs make. */
export const featureCount = (inputs: readonly InputEncoding[]): number =>
  inputs.reduce((sum, input) => sum + (input.kind === 'number' ? 1 : input.levels.length), 0);

/** Columns that are read as levels. */
export const categoryNames = (inputs: readonly InputEncoding[]): string[] =>
  inputs.flatMap((input) => (input.kind === 'category' ? [input.name] : []));

/** Counts of unknown levels as a prediction tells them. */
export const countedLevels = (unknown: ReadonlyMap<string, number>): { column: string; rows: number }[] =>
  [...unknown].map(([column, rows]) => ({ column, rows }));

/** Refuses a category that lists a level twice: its indicator would count for neither. Raises `data_invalid`. */
export function requireDistinctLevels(inputs: readonly InputEncoding[], pointer = '/inputs'): void {
  for (const [k, input] of inputs.entries()) {
    if (input.kind !== 'category') {
      continue;
    }
    const levels = input.levels.map(booleanText);
    const twice = levels.findIndex((level, j) => levels.indexOf(level) !== j);
    if (twice >= 0) {
      throw dataError('weights_misfit', `${pointer}/${k}/levels/${twice}`, `${input.name} lists a level twice`);
    }
  }
}

/** Texts of a numeric column stand for levels too: a category of numbers may arrive as either. */
const levelAt = (column: Column, i: number): string | null => {
  if (column.kind === 'category') {
    return column.codes[i]! < 0 ? null : column.levels[column.codes[i]!]!;
  }
  return Number.isNaN(column.values[i]) ? null : String(column.values[i]);
};

/**
 * Features (rows x featureCount, row-major). Raises `data_invalid`: column_missing; value_not_finite for a missing or
 * textual cell of a number that has no stand-in; group_unknown for a level that the predictor does not know. Levels that it
 * takes without knowing them are counted by column in `unknown`.
 */
export function encodeTable(
  table: Table,
  inputs: readonly InputEncoding[],
  unknown?: Map<string, number>,
): Float64Array {
  const width = featureCount(inputs);
  const out = new Float64Array(table.rows * width);
  let at = 0;
  for (const input of inputs) {
    const column = columnOf(table, input.name);
    if (input.kind === 'number') {
      const values = column.kind === 'number' ? column.values : booleanValues(column);
      if (!values && column.missing < table.rows) {
        throw dataError(
          'value_not_finite',
          jsonPointer(['columns', input.name]),
          `${input.name} must be numbers; it holds texts`,
        );
      }
      const { mean, scale, missing } = input;
      for (let i = 0; i < table.rows; i++) {
        let value = values ? values[i]! : Number.NaN;
        if (Number.isNaN(value)) {
          if (missing === null) {
            const row = rowNumber(table, i);
            throw dataError(
              'value_not_finite',
              jsonPointer(['columns', input.name, row]),
              `row ${row} has no ${input.name}`,
            );
          }
          value = missing;
        }
        out[i * width + at] = (value - mean) / scale;
      }
      at += 1;
      continue;
    }
    const position = new Map(input.levels.map((level, k) => [booleanText(level), k]));
    const byCode = column.kind === 'category' ? column.levels.map((level) => position.get(level)) : undefined;
    for (let i = 0; i < table.rows; i++) {
      const code = column.kind === 'category' ? column.codes[i]! : -1;
      const level = levelAt(column, i);
      const k = byCode && code >= 0 ? byCode[code] : level === null ? undefined : position.get(level);
      if (k !== undefined) {
        out[i * width + at + k] = 1;
      } else if (input.unknown === 'refuse') {
        const shown = level === null ? 'nothing' : `"${level.slice(0, 60)}"`;
        const row = rowNumber(table, i);
        throw dataError(
          'group_unknown',
          jsonPointer(['columns', input.name, row]),
          `row ${row} has ${shown} for ${input.name}; known: ${input.levels.slice(0, 20).join(', ')}`,
        );
      } else if (level !== null && level !== input.reference) {
        unknown?.set(input.name, (unknown.get(input.name) ?? 0) + 1);
      }
    }
    at += input.levels.length;
  }
  return out;
}

/**
 * Standardising or one-hot inputs learned from a table; a numeric column's missing cells take its mean. Means and deviations
 * are those of the rows `numbersFrom`, levels and missing cells those of all.
 */
export function learnInputs(
  table: Table,
  names: readonly string[],
  {
    categorical = [],
    dropFirst = false,
    numbersFrom,
  }: { categorical?: readonly string[]; dropFirst?: boolean; numbersFrom?: ArrayLike<number> } = {},
): InputEncoding[] {
  return names.map((name): InputEncoding => {
    const column = columnOf(table, name);
    if (column.kind === 'number' && !categorical.includes(name)) {
      let [sum, square, count] = [0, 0, 0];
      const values = numbersFrom ? Float64Array.from(numbersFrom, (i) => column.values[i]!) : column.values;
      for (const value of values) {
        if (Number.isNaN(value)) {
          continue;
        }
        sum += value;
        count += 1;
      }
      requireSquarable(
        column.values.map((value) => (Number.isNaN(value) ? 0 : value)),
        jsonPointer(['columns', name]),
      );
      const mean = count > 0 ? sum / count : 0;
      for (const value of values) {
        if (!Number.isNaN(value)) {
          square += (value - mean) ** 2;
        }
      }
      const scale = Math.sqrt(square / Math.max(1, count));
      return { kind: 'number', name, mean, scale: scale > 0 ? scale : 1, missing: column.missing > 0 ? mean : null };
    }
    const texts = new Set<string>();
    for (let i = 0; i < table.rows; i++) {
      const level = levelAt(column, i);
      if (level !== null) {
        texts.add(level);
      }
    }
    const levels = [...texts].sort();
    if (levels.length > 1000) {
      throw dataError(
        'table_too_large',
        jsonPointer(['columns', name]),
        `${name} has ${levels.length} levels; at most 1000 are encoded`,
      );
    }
    // With the first level dropped it becomes the reference, and so does a level never seen.
    const kept = dropFirst && levels.length > 1 ? levels.slice(1) : levels;
    return {
      kind: 'category',
      name,
      levels: kept.length ? kept : [''],
      unknown: dropFirst || column.missing > 0 ? 'zeros' : 'refuse',
      ...(kept.length < levels.length && { reference: levels[0]! }),
    };
  });
}
