/** Arrow IPC (stream or file) into typed columns: numbers, booleans, texts and dictionaries; flechette reads the format. */
import { tableFromIPC } from '@uwdata/flechette';
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
 * Reads a table. Booleans become 0 and 1, 64-bit integers numbers where they are exact. Raises `data_invalid`:
 * arrow_malformed for bytes that are not Arrow or a column of another type (dates, lists, structs); table_too_large.
 */
export function readArrow(bytes: Uint8Array, given: Partial<TableLimits> = {}): Table {
  const limits = { ...TABLE_LIMITS, ...given };
  let source: ReturnType<typeof tableFromIPC>;
  try {
    source = tableFromIPC(bytes, { useBigInt: false });
    if (source.numCols > limits.columns)
      throw tableError('table_too_large', '/columns', `the table has more than ${limits.columns} columns`);
    if (source.numRows > limits.rows)
      throw tableError('table_too_large', '/rows', `the table has more than ${limits.rows} rows`);
    const names = columnNames(source.names.map(String));
    const columns = names.map((name, j) => readColumn(name, source.getChildAt(j).toArray(), source.numRows, limits));
    return { rows: source.numRows, columns };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'data_invalid') throw error;
    throw tableError(
      'arrow_malformed',
      '/',
      `the bytes are not an Arrow table that can be read: ${(error as Error).message.slice(0, 200)}`,
    );
  }
}

function readColumn(name: string, values: ArrayLike<unknown>, rows: number, limits: TableLimits): Column {
  if (values.length !== rows) throw new RangeError(`column ${name} has ${values.length} values for ${rows} rows`);
  const texts: (string | null)[] = [];
  const numbers = new Float64Array(rows);
  let [kind, missing]: ['number' | 'category' | undefined, number] = [undefined, 0];
  for (let i = 0; i < rows; i++) {
    const value = values[i];
    if (value === null || value === undefined) {
      numbers[i] = Number.NaN;
      texts.push(null);
      missing += 1;
      continue;
    }
    const own =
      typeof value === 'string'
        ? 'category'
        : typeof value === 'number' || typeof value === 'boolean'
          ? 'number'
          : undefined;
    if (own === undefined || (kind !== undefined && own !== kind))
      throw new TypeError(`column ${name} is neither numbers, booleans nor texts`);
    kind = own;
    if (own === 'category') texts.push(value as string);
    else {
      const number = Number(value);
      numbers[i] = Number.isFinite(number) ? number : Number.NaN;
      if (Number.isNaN(number)) missing += 1;
    }
  }
  return kind === 'category' ? categories(name, texts, limits) : { name, kind: 'number', values: numbers, missing };
}
