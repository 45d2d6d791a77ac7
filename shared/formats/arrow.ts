/** Arrow IPC (stream or file) into typed columns: numbers, booleans, texts and dictionaries. */
import { jsonPointer, SextantError } from '../contracts/problem.ts';
import { arrowTable, UnpackedTooLarge } from './arrow-codecs.ts';
import {
  ambiguousNames,
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

/** What buffers may unpack to: so many bytes, and so many for each byte of the file. */
const UNPACKED = { least: 32 * 1024 * 1024, factor: 8 };
/** What the reader says of types that it does not know, which is no damage. */
const UNSUPPORTED = /unsupported|unrecognized|missing compression codec/i;

/**
 * Reads a table, its buffers as they are or compressed by LZ4 or Zstandard. Booleans become the levels true and false, 64-bit integers numbers where they are exact. Raises `data_invalid`:
 * arrow_malformed for bytes that are not Arrow or a column of another type (dates, lists, structs); table_too_large. A
 * pointer is empty for the bytes as a whole.
 */
export function readArrow(bytes: Uint8Array, given: Partial<TableLimits> = {}, reading: ColumnReading = {}): Table {
  const limits = { ...TABLE_LIMITS, ...given };
  try {
    const source = arrowTable(bytes, UNPACKED.least + UNPACKED.factor * bytes.length, { useBigInt: true });
    if (source.numCols > limits.columns) {
      throw tableError('table_too_large', '/columns', `the table has more than ${limits.columns} columns`);
    }
    if (source.numRows > limits.rows) {
      throw tableError('table_too_large', '', `the table has more than ${limits.rows} rows`);
    }
    // Of no bytes, or zeros alone, the reader makes a table without columns.
    if (source.numCols === 0) {
      throw new RangeError('no schema');
    }
    const given = source.names.map(String);
    const names = columnNames(given);
    const how = columnReading(given, names, reading);
    const kept = [...names.keys()].filter((j) => how[j]!.read);
    const columns = kept.map((j) =>
      readColumn(names[j]!, () => source.getChildAt(j).toArray(), source.numRows, limits, how[j]!.text),
    );
    const ambiguous = ambiguousNames(
      kept.map((j) => given[j]!),
      columns,
    );
    return { rows: source.numRows, columns, ambiguous, names };
  } catch (error) {
    if (error instanceof SextantError) {
      throw error;
    }
    if (error instanceof UnpackedTooLarge) {
      throw tableError('table_too_large', '', 'the body: its compressed columns unpack to more than a table may hold');
    }
    if (error instanceof Error && UNSUPPORTED.test(error.message)) {
      throw tableError(
        'arrow_malformed',
        '',
        'the body: it is Arrow, but holds a column of a type that is not read here; numbers, texts, booleans and dictionaries are',
      );
    }
    // What the reader says of damaged bytes is about itself.
    throw tableError(
      'arrow_malformed',
      '',
      'the body: the bytes are no Arrow stream or file, or were damaged or cut short on the way',
    );
  }
}

/** A cell of a text column: an integer of any size keeps its digits. */
const textOf = (value: unknown): string | null | undefined =>
  value === null || value === undefined || Number.isNaN(value) ? null : String(value);

/** A 64-bit integer as a number, any other cell as it is. Raises `data_invalid` for one that no number is. */
function exactNumber(value: unknown, name: string, pointer: string, row: number): unknown {
  if (typeof value !== 'bigint') {
    return value;
  }
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    throw tableError(
      'arrow_malformed',
      `${pointer}/${row}`,
      `${name} holds ${value}, an integer beyond 2^53; declare the column as text if it is a label`,
    );
  }
  return number;
}

function readColumn(
  name: string,
  read: () => ArrayLike<unknown>,
  rows: number,
  limits: TableLimits,
  text: boolean,
): Column {
  const pointer = jsonPointer(['columns', name]);
  let values: ArrayLike<unknown>;
  try {
    values = read();
  } catch {
    throw tableError('arrow_malformed', pointer, `column ${name} cannot be read: its type is not supported`);
  }
  if (values.length !== rows) {
    throw tableError('arrow_malformed', pointer, `column ${name} has ${values.length} values for ${rows} rows`);
  }
  const texts: (string | null)[] = [];
  const numbers = new Float64Array(rows);
  let [kind, missing]: ['number' | 'category' | undefined, number] = [undefined, 0];
  for (let i = 0; i < rows; i++) {
    const value = text && typeof values[i] !== 'object' ? textOf(values[i]) : exactNumber(values[i], name, pointer, i);
    if (value === null || value === undefined) {
      numbers[i] = Number.NaN;
      texts.push(null);
      missing += 1;
      continue;
    }
    const own =
      typeof value === 'string'
        ? 'category'
        : typeof value === 'boolean'
          ? 'category'
          : typeof value === 'number'
            ? 'number'
            : undefined;
    if (own === undefined || (kind !== undefined && own !== kind)) {
      throw tableError('arrow_malformed', pointer, `column ${name} is neither numbers, booleans nor texts`);
    }
    kind = own;
    if (own === 'category') {
      texts.push(String(value));
    } else {
      const number = Number(value);
      numbers[i] = Number.isFinite(number) ? number : Number.NaN;
      if (!Number.isFinite(number)) {
        missing += 1;
      }
    }
  }
  return kind === 'category' ? categories(name, texts, limits) : { name, kind: 'number', values: numbers, missing };
}
