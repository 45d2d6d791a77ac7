/** Recordings that params name, opened for a handler. */
import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import {
  type EcgRecordSource,
  type InlineRecord,
  inlineRecordSchema,
  MOST_LEADS,
} from '../../../shared/contracts/ecg-record.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readCsv } from '../../../shared/formats/csv.ts';
import { refuseForeign } from '../../../shared/formats/foreign-records.ts';
import { readNpy } from '../../../shared/formats/npy-read.ts';
import { columnsRecord } from '../../ecg/records/columns-record.ts';
import { openEdfRecord } from '../../ecg/records/edf-record.ts';
import type { OpenedRecord } from '../../ecg/records/record.ts';
import { openWfdbRecord } from '../../ecg/records/wfdb-record.ts';
import type { JobContext } from '../handler.ts';

type Inputs = Pick<JobContext<unknown>, 'input'>;
const READABLE = 'WFDB (formats 16 and 212), EDF, EDF+, CSV, JSON or npy';
/** Bytes by which files of other kinds are known. */
const SNIFFED = 2048;
/** Bytes of a WFDB signal file that are read at a time: whole pairs of format 212. */
const PIECE = 3 * 65_536;

/** @throws SextantError `data_invalid`, `input_not_found` */
export async function openEcgRecord(context: Inputs, source: EcgRecordSource): Promise<OpenedRecord> {
  if ('leads' in source) {
    return inlineRecord(source);
  }
  if (source.format === 'wfdb') {
    const names = source.files.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) < i);
    if (twice) {
      throw new SextantError('data_invalid', `two files are named ${twice}`);
    }
    const headers = source.files.filter(({ name }) => name.endsWith('.hea'));
    if (headers.length !== 1) {
      throw new SextantError(
        'data_invalid',
        `a WFDB record has one header (.hea); ${headers.length} of these files are headers`,
      );
    }
    const paths = new Map<string, string>();
    for (const { name, artefact } of source.files) {
      paths.set(name, await fileOf(context, artefact));
    }
    return openWfdbRecord(await readFile(paths.get(headers[0]!.name)!, 'utf8'), (file, offset) => {
      const path = paths.get(file);
      if (!path) {
        throw new SextantError('data_invalid', `the header names ${file}, which was not sent`);
      }
      return createReadStream(path, { start: offset, highWaterMark: PIECE });
    });
  }
  const path = await fileOf(context, source.artefact);
  switch (source.format) {
    case 'edf':
      return openEdfRecord(() => createReadStream(path, { highWaterMark: 2 ** 20 }), 'denoised.edf');
    case 'csv':
      return csvRecord(await readFile(path), source);
    case 'json':
      return inlineRecord(parseJson(await readFile(path, 'utf8')));
    case 'npy':
      return npyRecord(await readFile(path), source);
  }
}

async function fileOf(context: Inputs, id: string): Promise<string> {
  const input = context.input(id);
  const blob = input.blobs[0];
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${id} has no bytes`);
  }
  const path = await input.file(blob.name);
  const file = await open(path);
  try {
    const bytes = new Uint8Array(SNIFFED);
    const { bytesRead } = await file.read(bytes, 0, SNIFFED, 0);
    refuseForeign(bytes.subarray(0, bytesRead), READABLE);
  } finally {
    await file.close();
  }
  return path;
}

const inlineRecord = ({ rate_hz, unit, leads }: InlineRecord): OpenedRecord =>
  columnsRecord(
    {
      rate: rate_hz,
      unit,
      leads: leads.map(({ name, samples }) => ({
        name,
        values: Float64Array.from(samples, (value) => value ?? Number.NaN),
      })),
    },
    'json',
  );

function parseJson(text: string): InlineRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SextantError('data_invalid', `the document is not JSON: ${(cause as Error).message.slice(0, 200)}`);
  }
  const parsed = inlineRecordSchema.safeParse(value);
  if (parsed.success) {
    return parsed.data;
  }
  const issue = parsed.error.issues[0]!;
  throw new SextantError('data_invalid', `the document at /${issue.path.join('/')}: ${issue.message}`);
}

type Described = { rate_hz: number; unit: string };

function csvRecord(bytes: Uint8Array, { rate_hz, unit }: Described): OpenedRecord {
  const { columns } = readCsv(bytes, { trim: true });
  const leads = columns.map((column) => {
    if (column.kind !== 'number') {
      throw new SextantError('data_invalid', `column '${column.name}' holds texts; every column is a lead of numbers`);
    }
    return { name: column.name, values: column.values };
  });
  return columnsRecord({ rate: rate_hz, unit, leads }, 'csv');
}

function npyRecord(bytes: Uint8Array, { rate_hz, unit }: Described): OpenedRecord {
  const { shape, values } = readNpy(bytes);
  const [count, length] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
  if (shape.length > 2 || count > MOST_LEADS) {
    throw new SextantError(
      'data_invalid',
      `the array is [${shape}]; a recording is [leads, samples] with at most ${MOST_LEADS} leads`,
    );
  }
  const leads = Array.from({ length: count }, (_, i) => ({
    name: `lead ${i}`,
    values: values.subarray(i * length, (i + 1) * length),
  }));
  return columnsRecord({ rate: rate_hz, unit, leads }, 'npy');
}
