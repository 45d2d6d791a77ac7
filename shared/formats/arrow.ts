/** Arrow IPC (stream or file) into typed columns: numbers, booleans, texts and dictionaries; flechette reads the format. */
import { tableFromIPC } from '@uwdata/flechette';
import { jsonPointer } from '../contracts/problem.ts';
import {
  ambiguousNames,
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
 * arrow_malformed for bytes that are not Arrow or a column of another type (dates, lists, structs); table_too_large. A
 * pointer is empty for the bytes as a whole.
 */
export function readArrow(bytes: Uint8Array, given: Partial<TableLimits> = {}): Table {
  const limits = { ...TABLE_LIMITS, ...given };
  let source: ReturnType<typeof tableFromIPC>;
  try {
    source = tableFromIPC(bytes, { useBigInt: false });
    if (source.numCols > limits.columns)
      throw tableError('table_too_large', '/columns', `the table has more than ${limits.columns} columns`);
    if (source.numRows > limits.rows)
      throw tableError('table_too_large', '', `the table has more than ${limits.rows} rows`);
    // Of no bytes, or zeros alone, the reader makes a table without columns.
    if (source.numCols === 0) throw new RangeError('no schema');
    const given = source.names.map(String);
    const names = columnNames(given);
    const columns = names.map((name, j) =>
      readColumn(name, () => source.getChildAt(j).toArray(), source.numRows, limits),
    );
    return { rows: source.numRows, columns, ambiguous: ambiguousNames(given, columns) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'data_invalid') throw error;
    // What the reader says of damaged bytes is about itself.
    throw tableError(
      'arrow_malformed',
      '',
      'the body: the bytes are no Arrow stream or file, or were damaged or cut short on the way',
    );
  }
}

function readColumn(name: string, read: () => ArrayLike<unknown>, rows: number, limits: TableLimits): Column {
  const pointer = jsonPointer(['columns', name]);
  let values: ArrayLike<unknown>;
  try {
    values = read();
  } catch {
    throw tableError('arrow_malformed', pointer, `column ${name} cannot be read; an integer may be beyond 2^53`);
  }
  if (values.length !== rows)
    throw tableError('arrow_malformed', pointer, `column ${name} has ${values.length} values for ${rows} rows`);
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
      throw tableError('arrow_malformed', pointer, `column ${name} is neither numbers, booleans nor texts`);
    kind = own;
    if (own === 'category') texts.push(value as string);
    else {
      const number = Number(value);
      numbers[i] = Number.isFinite(number) ? number : Number.NaN;
      if (!Number.isFinite(number)) missing += 1;
    }
  }
  return kind === 'category' ? categories(name, texts, limits) : { name, kind: 'number', values: numbers, missing };
}
