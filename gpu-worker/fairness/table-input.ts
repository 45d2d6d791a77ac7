/** Tables that params name, opened and narrowed to the rows a job can use. */
import { readFile } from 'node:fs/promises';
import { jsonPointer, SextantError } from '../../shared/contracts/problem.ts';
import type { TableReport, TableSource } from '../../shared/contracts/table.ts';
import { placed, requireSquarable } from '../../shared/fairness/data-error.ts';
import { readArrow } from '../../shared/formats/arrow.ts';
import { readCsv } from '../../shared/formats/csv.ts';
import { tableFromColumns } from '../../shared/formats/json-table.ts';
import {
  booleanText,
  booleanValues,
  type Column,
  type ColumnReading,
  columnOf,
  columnTexts,
  requireOneOfEach,
  rowNumber,
  type Table,
  tableError,
  tableSchema,
} from '../../shared/formats/table.ts';
import { canonicalJson, sha256Hex } from '../../shared/signing/digest.ts';

/** The part of a handler's context that inputs are read through. */
type Inputs = {
  input(id: string): { blobs: readonly { name: string; sha256: string }[]; file(name: string): Promise<string> };
};
type OpenedTable = { table: Table; digest: string };

/**
 * Only the columns that are named are opened: nothing is inferred, refused or shown of another. Raises `data_invalid` for a table that cannot be read or has no rows, `input_not_found` for an artefact
 * without bytes.
 */
export async function openTable(
  context: Inputs,
  source: TableSource,
  { read, text = [] }: ColumnReading = {},
): Promise<OpenedTable> {
  const reading: ColumnReading = { ...(read && { read }), text: [...text, ...source.text] };
  if ('columns' in source) {
    const table = requireRows(tableFromColumns(source.columns, {}, reading));
    return { table, digest: await sha256Hex(canonicalJson(source.columns)) };
  }
  const input = context.input(source.artefact);
  const blob = input.blobs[0];
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${source.artefact} has no bytes`);
  }
  const bytes = new Uint8Array(await readFile(await input.file(blob.name)));
  const { format, delimiter, names, trim, missing } = source;
  const table =
    format === 'arrow'
      ? readArrow(bytes, {}, reading)
      : readCsv(bytes, { ...reading, delimiter, trim, ...(names && { names }), ...(missing && { missing }) });
  return { table: requireRows(table), digest: blob.sha256 };
}

function requireRows(table: Table): Table {
  if (table.rows === 0) {
    throw tableError('table_empty', '/table', 'the table has no rows');
  }
  return table;
}

const hasValue = (column: Column, i: number): boolean =>
  column.kind === 'number' ? !Number.isNaN(column.values[i]) : column.codes[i]! >= 0;

/** The table without the rows that lack a value in one of the `needed` columns. Raises `data_invalid` if none is left. */
export function completeRows(table: Table, needed: readonly string[]): Table {
  requireOneOfEach(table, needed);
  const columns = needed.map((name) => columnOf(table, name));
  const kept: number[] = [];
  for (let i = 0; i < table.rows; i++) {
    if (columns.every((column) => hasValue(column, i))) {
      kept.push(i);
    }
  }
  if (kept.length === 0) {
    throw new SextantError('data_invalid', `no row has a value in each of: ${needed.join(', ')}`);
  }
  if (kept.length === table.rows) {
    return table;
  }
  return takeRows(table, kept);
}

/** The rows at these positions, with the numbers that the caller knows them by; levels and their codes stay. */
export const takeRows = (table: Table, rows: ArrayLike<number>): Table => ({
  rows: rows.length,
  rowNumbers: Uint32Array.from(rows, (i) => rowNumber(table, i)),
  columns: table.columns.map((column): Column => {
    if (column.kind === 'number') {
      const values = Float64Array.from(rows, (i) => column.values[i]!);
      return { ...column, values, missing: values.reduce((sum, v) => sum + Number(Number.isNaN(v)), 0) };
    }
    const codes = Int32Array.from(rows, (i) => column.codes[i]!);
    return { ...column, codes, missing: codes.reduce((sum, code) => sum + Number(code < 0), 0) };
  }),
});

/** Values of a numeric column. Raises `data_invalid` for a column of texts or one with missing cells. */
export function numbersOf(table: Table, name: string): Float64Array {
  const column = columnOf(table, name);
  const values = column.kind === 'number' ? column.values : booleanValues(column);
  if (!values) {
    throw new SextantError('data_invalid', `the column ${name} holds texts; numbers are needed`);
  }
  if (column.missing > 0) {
    throw new SextantError('data_invalid', `the column ${name} lacks ${column.missing} values`);
  }
  // Errors speak of rows as the caller's table numbers them.
  placed(
    (pointer) => pointer.replace(/\d+$/, (i) => String(rowNumber(table, Number(i)))),
    () => requireSquarable(values, jsonPointer(['columns', name])),
  );
  return values;
}

/** A 0/1 label: the cells equal to `positive`, or a column of 0 and 1. Raises `data_invalid`. */
export function binaryOf(table: Table, name: string, positive: string | null): Float64Array {
  if (positive !== null) {
    const texts = columnTexts(columnOf(table, name));
    const wanted = booleanText(positive);
    if (!texts.includes(wanted)) {
      throw new SextantError('data_invalid', `no row of ${name} holds "${positive}"`);
    }
    return Float64Array.from(texts, (text) => Number(text === wanted));
  }
  const values = numbersOf(table, name);
  const bad = values.find((v) => v !== 0 && v !== 1);
  if (bad !== undefined) {
    throw new SextantError(
      'data_invalid',
      `the label ${name} holds ${bad}; it must be 0 or 1, or name the cell that counts as positive`,
    );
  }
  return values;
}

export const tableReport = ({ table, digest }: OpenedTable, usedRows: number): TableReport => ({
  rows: table.rows,
  used_rows: usedRows,
  columns: tableSchema(table),
  data_digest: digest,
});
