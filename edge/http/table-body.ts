/** Bodies that are tables: JSON columns, CSV or Arrow, told apart by their content type. */
import { createMiddleware } from 'hono/factory';
import { TABLE_LIMIT } from '../../shared/contracts/body-limit.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { CsvQuery } from '../../shared/contracts/table.ts';
import { readingMs, type TableFormat } from '../../shared/fairness/costs.ts';
import { readArrow } from '../../shared/formats/arrow.ts';
import { readCsv } from '../../shared/formats/csv.ts';
import { requireOneOfEach, type Table, tableError } from '../../shared/formats/table.ts';
import type { AppEnv } from '../environment.ts';
import { charsetIsUtf8, jsonBody, readBounded } from './body.ts';

export const CSV_TYPE = 'text/csv';
export const ARROW_TYPES = ['application/vnd.apache.arrow.stream', 'application/vnd.apache.arrow.file'] as const;

/** The format a content type names; undefined for any other. */
export function tableFormat(contentType: string | undefined): TableFormat | undefined {
  const essence = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  if (essence === CSV_TYPE) {
    return 'csv';
  }
  if ((ARROW_TYPES as readonly string[]).includes(essence)) {
    return 'arrow';
  }
  return /^application\/([a-z0-9.-]+\+)?json$/.test(essence) ? 'json' : undefined;
}

const JOB = 'fairness.predict';
const readJson = jsonBody(TABLE_LIMIT, JOB);

/** Takes a table of at most the table limit; JSON is checked like every JSON body, other bytes are only bounded. */
export const tableBody = createMiddleware<AppEnv>(async function tableBody(c, next) {
  const format = tableFormat(c.req.header('content-type'));
  if (format === 'json') {
    return readJson(c, next);
  }
  if (format === undefined) {
    throw new SextantError(
      'media_type_unsupported',
      'send application/json, text/csv or application/vnd.apache.arrow.stream',
      {
        details: { accepted: ['application/json', CSV_TYPE, ...ARROW_TYPES] },
      },
    );
  }
  if (format === 'csv' && !charsetIsUtf8(c.req.header('content-type')!)) {
    throw new SextantError('media_type_unsupported', 'send text/csv in UTF-8');
  }
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new SextantError('media_type_unsupported', 'the body must be sent without a content encoding');
  }
  c.set('body', await readBounded(c.req.raw, TABLE_LIMIT, JOB));
  await next();
});

/**
 * A CSV or Arrow body as a table with rows, whose reader names its columns. Raises `data_invalid`; pointers into such a
 * body are those of its readers.
 */
export function readTableBody(
  format: 'csv' | 'arrow',
  bytes: Uint8Array,
  csv: CsvQuery,
  reading: { read: readonly string[]; text: readonly string[] },
): Table {
  const table = format === 'csv' ? readCsv(bytes, { ...csv, ...reading }) : readArrow(bytes, {}, reading);
  requireOneOfEach(table, reading.read);
  if (table.rows === 0) {
    throw tableError('table_empty', '', 'the body: the table has no rows');
  }
  return table;
}

/** CPU time to read the body, before it is read. */
export const bodyMs = (format: TableFormat, bytes: Uint8Array): number => readingMs(format, bytes.length);
