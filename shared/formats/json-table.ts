/** Tables as JSON columns: `{"age": [1, 2, null], "sex": ["f", "m", "f"]}`. */
import { jsonPointer } from '../contracts/problem.ts';
import {
  type Column,
  type ColumnReading,
  categories,
  columnNames,
  columnReading,
  TABLE_LIMITS,
  type Table,
  type TableLimits,
  tableError,
} from './table.ts';

/**
 * Numbers make numeric columns, texts and booleans categories, null is missing; booleans among numbers are 0 and 1. Raises `data_invalid`
 * (column_name_invalid, columns_malformed for columns of unequal length or mixed kinds, table_too_large).
 */
export function tableFromColumns(
  cells: Readonly<Record<string, readonly unknown[]>>,
  given: Partial<TableLimits> = {},
  reading: ColumnReading = {},
): Table {
  const limits = { ...TABLE_LIMITS, ...given };
  const entries = Object.entries(cells);
  const names = columnNames(entries.map(([name]) => name));
  const how = columnReading(names, names, reading);
  const rows = entries[0]?.[1].length ?? 0;
  if (entries.length > limits.columns) {
    throw tableError('table_too_large', '/columns', `the table has more than ${limits.columns} columns`);
  }
  if (rows > limits.rows) {
    throw tableError('table_too_large', '/columns', `the table has more than ${limits.rows} rows`);
  }
  const columns = entries.flatMap(([name, values], j) =>
    how[j]!.read ? [columnFrom(name, values, rows, limits, how[j]!.text)] : [],
  );
  return { rows, columns, names };
}

function columnFrom(
  name: string,
  values: readonly unknown[],
  rows: number,
  limits: TableLimits,
  text: boolean,
): Column {
  const pointer = jsonPointer(['columns', name]);
  if (values.length !== rows) {
    throw tableError('columns_malformed', pointer, `${name} has ${values.length} values, the first column has ${rows}`);
  }
  const numbers = new Float64Array(rows);
  let [missing, numeric, textual, boolean] = [0, false, false, false];
  for (let i = 0; i < rows; i++) {
    const value = values[i];
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) {
        throw tableError('columns_malformed', `${pointer}/${i}`, 'the number is beyond double precision');
      }
      numbers[i] = value;
      numeric = true;
    } else if (value === null) {
      numbers[i] = Number.NaN;
      missing += 1;
    } else if (typeof value === 'boolean') {
      numbers[i] = Number(value);
      boolean = true;
    } else if (typeof value === 'string') {
      textual = true;
    } else {
      throw tableError('columns_malformed', `${pointer}/${i}`, 'a cell is a number, a text, true, false or null');
    }
  }
  if (numeric && textual && !text) {
    throw tableError('columns_malformed', pointer, `${name} mixes numbers and texts`);
  }
  // Truth values alone are two levels, as in a CSV file; beside numbers they are 0 and 1.
  const levels = text || textual || (boolean && !numeric);
  return levels
    ? categories(
        name,
        values.map((value) => (value === null ? null : String(value))),
        limits,
      )
    : { name, kind: 'number', values: numbers, missing };
}
