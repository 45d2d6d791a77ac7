/** Tables as columns: what the CSV, Arrow and JSON readers give, with the schema they inferred. */
import { CONTROL_CHARACTERS } from '../contracts/column-name.ts';
import { jsonPointer, SextantError } from '../contracts/problem.ts';

/** `values` holds NaN where a number is missing. */
type NumberColumn = { name: string; kind: 'number'; values: Float64Array; missing: number };
/** `codes` index `levels` (in order of first appearance); -1 where a value is missing. */
type CategoryColumn = { name: string; kind: 'category'; codes: Int32Array; levels: string[]; missing: number };
export type Column = NumberColumn | CategoryColumn;
/** `ambiguous`: names given to columns that differ, of which the first has it; see `columnNames`. */
/** `names`: of all columns of the source, where not all were read. */
/** `rowNumbers`: of rows that were picked from a caller's table, the numbers that they have there. */
export type Table = {
  rows: number;
  columns: Column[];
  ambiguous?: ReadonlySet<string>;
  names?: readonly string[];
  rowNumbers?: ArrayLike<number>;
};

/** The number that row `i` has in the caller's table: what errors speak of. */
export const rowNumber = ({ rowNumbers }: Table, i: number): number => rowNumbers?.[i] ?? i;

/** Which columns are read (all where left out), and which of them are texts whatever their cells look like. */
export type ColumnReading = { read?: readonly string[]; text?: readonly string[] };

/**
 * For every column of a source, whether it is read and as text: a label such as `01` is not the number 1. `given` are the
 * names in the source: another column of a name that is read is read too, to tell whether it is a copy.
 */
export function columnReading(
  given: readonly string[],
  names: readonly string[],
  { read, text = [] }: ColumnReading,
): { read: boolean; text: boolean }[] {
  const [wanted, texts] = [read && new Set(read), new Set(text)];
  return names.map((name, j) => ({
    read: !wanted || wanted.has(name) || wanted.has(given[j]!),
    text: texts.has(name) || texts.has(given[j]!),
  }));
}

export type TableLimits = { columns: number; rows: number; levels: number };
export const TABLE_LIMITS: TableLimits = { columns: 1000, rows: 5_000_000, levels: 100_000 };
/** Cells that mean "no value". */
export const MISSING_MARKS: readonly string[] = ['', '?', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL', 'None'];

/**
 * A truth value in the one spelling that levels have, whichever tool wrote it (True, TRUE, true, or a JSON or Arrow boolean);
 * any other text as it is.
 */
export const booleanText = (text: string): string =>
  text === 'True' || text === 'TRUE' ? 'true' : text === 'False' || text === 'FALSE' ? 'false' : text;

type TableFault =
  | 'csv_malformed'
  | 'arrow_malformed'
  | 'columns_malformed'
  | 'table_empty'
  | 'table_too_large'
  | 'column_name_invalid'
  | 'column_missing';
/** A `data_invalid` error about a table. */
export const tableError = (fault: TableFault, pointer: string, detail: string): SextantError =>
  new SextantError('data_invalid', detail, { errors: [{ pointer, code: fault, detail }] });

/**
 * Names a table may use: up to 200 characters without control characters. A repeated name gets a suffix (.2, .3, ...), so
 * that every column can be named, and an empty one (the index column of many exports) becomes `unnamed`; the schema shows it. Raises `data_invalid` (column_name_invalid).
 */
export function columnNames(given: readonly string[]): string[] {
  const seen = new Map<string, number>();
  const filled = given.map((name) => name || 'unnamed');
  const taken = new Set(filled);
  return filled.map((name, i) => {
    if (name.length > 200 || CONTROL_CHARACTERS.test(name)) {
      throw tableError(
        'column_name_invalid',
        `/columns/${i}`,
        `column ${i} has a name that is longer than 200 characters or holds control characters`,
      );
    }
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    if (count === 1) {
      return name;
    }
    let suffix = count;
    while (taken.has(`${name}.${suffix}`)) {
      suffix += 1;
    }
    taken.add(`${name}.${suffix}`);
    return `${name}.${suffix}`;
  });
}

/**
 * The names that are given more than once, and not to copies of one column: exports do repeat a column (that of COMPAS two),
 * and then it does not matter which is read.
 */
export function ambiguousNames(given: readonly string[], columns: readonly Column[]): ReadonlySet<string> {
  const first = new Map<string, Column>();
  const ambiguous = new Set<string>();
  for (const [j, column] of columns.entries()) {
    const before = first.get(given[j]!);
    if (!before) {
      first.set(given[j]!, column);
    } else if (!sameCells(before, column)) {
      ambiguous.add(given[j]!);
    }
  }
  return ambiguous;
}

function sameCells(a: Column, b: Column): boolean {
  if (a.kind === 'number') {
    return b.kind === 'number' && a.values.every((value, i) => Object.is(value, b.values[i]));
  }
  return b.kind === 'category' && a.codes.every((code, i) => a.levels[code] === b.levels[b.codes[i]!]);
}

/** Refuses a table in which a column that is read shares its name with another one. Raises `data_invalid`. */
export function requireOneOfEach(table: Table, read: readonly string[]): void {
  const twice = read.find((name) => table.ambiguous?.has(name));
  if (twice !== undefined) {
    throw tableError(
      'columns_malformed',
      jsonPointer(['columns', twice]),
      `two different columns are called "${twice}", and one is read; give each a name of its own`,
    );
  }
}

/** The column of this name. Raises `data_invalid` (column_missing), naming what there is. */
export function columnOf(table: Table, name: string, pointer = '/columns'): Column {
  const found = table.columns.find((column) => column.name === name);
  if (found) {
    return found;
  }
  const all = table.names ?? table.columns.map((column) => column.name);
  const names = all.slice(0, 20);
  const more = all.length > 20 ? ', ...' : '';
  throw tableError('column_missing', pointer, `the table has no column "${name}"; it has: ${names.join(', ')}${more}`);
}

/** A category column from texts; null is missing. Raises `data_invalid` (table_too_large) above the limit of levels. */
export function categories(
  name: string,
  texts: readonly (string | null)[],
  limits: TableLimits = TABLE_LIMITS,
): CategoryColumn {
  const at = new Map<string, number>();
  const codes = new Int32Array(texts.length);
  let missing = 0;
  texts.forEach((given, i) => {
    const text = given === null ? null : booleanText(given);
    if (text === null) {
      codes[i] = -1;
      missing += 1;
      return;
    }
    let code = at.get(text);
    if (code === undefined) {
      code = at.size;
      at.set(text, code);
      if (code >= limits.levels) {
        throw tableError(
          'table_too_large',
          jsonPointer(['columns', name]),
          `${name} has more than ${limits.levels} different values`,
        );
      }
    }
    codes[i] = code;
  });
  return { name, kind: 'category', codes, levels: [...at.keys()], missing };
}

/** 1 and 0 where a column of levels holds nothing but truth values, NaN where missing; null for any other column. */
export function booleanValues({ codes, levels }: CategoryColumn): Float64Array | null {
  if (levels.some((level) => level !== 'true' && level !== 'false')) {
    return null;
  }
  return Float64Array.from(codes, (code) => (code < 0 ? Number.NaN : Number(levels[code] === 'true')));
}

/** What a reader inferred of a column, as results show it. */
type ColumnSchema = {
  name: string;
  kind: 'number' | 'category';
  missing: number;
  minimum?: number;
  maximum?: number;
  levels?: number;
  examples?: string[];
};

export const tableSchema = (table: Table): ColumnSchema[] =>
  table.columns.map((column): ColumnSchema => {
    const { name, kind, missing } = column;
    if (column.kind === 'category') {
      return { name, kind, missing, levels: column.levels.length, examples: column.levels.slice(0, 10) };
    }
    let [minimum, maximum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of column.values) {
      if (value < minimum) {
        minimum = value;
      }
      if (value > maximum) {
        maximum = value;
      }
    }
    return minimum <= maximum ? { name, kind, missing, minimum, maximum } : { name, kind, missing };
  });

/** A column's values as texts, null where missing: what groupings are made of. */
export const columnTexts = (column: Column): (string | null)[] =>
  column.kind === 'category'
    ? Array.from(column.codes, (code) => (code < 0 ? null : column.levels[code]!))
    : Array.from(column.values, (value) => (Number.isNaN(value) ? null : String(value)));
