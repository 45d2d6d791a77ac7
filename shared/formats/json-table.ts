/** Tables as JSON columns: `{"age": [1, 2, null], "sex": ["f", "m", "f"]}`. */
import { jsonPointer } from '../contracts/problem.ts';
import {
  type Column,
  categories,
  columnNames,
  TABLE_LIMITS,
  type Table,
  type TableLimits,
  tableError,
} from './table.ts';

/**
 * Numbers and booleans make numeric columns, texts categories, null is missing. Raises `data_invalid`
 * (column_name_invalid, columns_malformed for columns of unequal length or mixed kinds, table_too_large).
 */
export function tableFromColumns(
  columns: Readonly<Record<string, readonly unknown[]>>,
  given: Partial<TableLimits> = {},
): Table {
  const limits = { ...TABLE_LIMITS, ...given };
  const entries = Object.entries(columns);
  columnNames(entries.map(([name]) => name));
  const rows = entries[0]?.[1].length ?? 0;
  if (entries.length > limits.columns)
    throw tableError('table_too_large', '/columns', `the table has more than ${limits.columns} columns`);
  if (rows > limits.rows)
    throw tableError('table_too_large', '/columns', `the table has more than ${limits.rows} rows`);
  return { rows, columns: entries.map(([name, values]) => columnFrom(name, values, rows, limits)) };
}

function columnFrom(name: string, values: readonly unknown[], rows: number, limits: TableLimits): Column {
  const pointer = jsonPointer(['columns', name]);
  if (values.length !== rows)
    throw tableError('columns_malformed', pointer, `${name} has ${values.length} values, the first column has ${rows}`);
  const numbers = new Float64Array(rows);
  let [missing, numeric, textual] = [0, false, false];
  for (let i = 0; i < rows; i++) {
    const value = values[i];
    if (typeof value === 'number') {
      if (!Number.isFinite(value))
        throw tableError('columns_malformed', `${pointer}/${i}`, 'the number is beyond double precision');
      numbers[i] = value;
      numeric = true;
    } else if (value === null) {
      numbers[i] = Number.NaN;
      missing += 1;
    } else if (typeof value === 'boolean') {
      numbers[i] = Number(value);
      numeric = true;
    } else if (typeof value === 'string') textual = true;
    else throw tableError('columns_malformed', `${pointer}/${i}`, 'a cell is a number, a text, true, false or null');
  }
  if (numeric && textual) throw tableError('columns_malformed', pointer, `${name} mixes numbers and texts`);
  return textual
    ? categories(name, values as (string | null)[], limits)
    : { name, kind: 'number', values: numbers, missing };
}
