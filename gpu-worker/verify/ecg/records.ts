/** Headers, samples and annotations of records against `records.json`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseWfdbAnnotations, type WfdbAnnotation } from '../../../shared/formats/wfdb/annotations.ts';
import { WFDB_MISSING } from '../../../shared/formats/wfdb/header.ts';
import { moments } from '../../ecg/mixing/mix.ts';
import { physical, readWholeRecord, type WholeRecord } from '../../ecg/records/wfdb-files.ts';
import type { Report } from '../report.ts';

type StoredAnnotations = { count: number; first20: WfdbAnnotation[]; last: WfdbAnnotation | null };
type StoredRecord = {
  record: string;
  header: { rate: number; samples: number; signals: unknown[] };
  missing: number[];
  first20_mv: (number | null)[][];
  last20_mv: (number | null)[][];
  first20_digital: number[][];
  last20_digital: number[][];
  checksum_mod_65536: number[];
  mean_mv: number[];
  std_mv: number[];
  annotations?: Record<string, StoredAnnotations>;
};

export async function compareRecords(dir: string, report: Report): Promise<void> {
  const stored = JSON.parse(readFileSync(join(dir, 'records.json'), 'utf8')) as StoredRecord[];
  for (const record of stored) {
    try {
      compareRecord(record, await readWholeRecord(join(dir, record.record)), report);
      for (const [extension, annotations] of Object.entries(record.annotations ?? {})) {
        compareAnnotations(dir, record.record, extension, annotations, report);
      }
    } catch (error) {
      report.unreadable(`${record.record}/header`, error);
    }
  }
}

function compareRecord(stored: StoredRecord, record: WholeRecord, report: Report): void {
  const name = stored.record;
  const { header, digital } = record;
  const values = physical(record).map((lead) => Array.from(lead, (value) => (Number.isNaN(value) ? null : value)));
  const valid = values.map((lead) => moments(lead.filter((value) => value !== null)));
  report.item(
    `${name}/first20_mv`,
    values.flatMap((lead) => lead.slice(0, 20)),
    stored.first20_mv.flat(),
    1e-6,
  );
  report.item(
    `${name}/last20_mv`,
    values.flatMap((lead) => lead.slice(-20)),
    stored.last20_mv.flat(),
    1e-6,
  );
  report.item(
    `${name}/mean_mv`,
    valid.map(({ mean }) => mean),
    stored.mean_mv,
    1e-6,
  );
  report.item(
    `${name}/std_mv`,
    valid.map(({ deviation }) => deviation),
    stored.std_mv,
    1e-6,
  );
  const same = (what: string, found: unknown, wanted: unknown) => {
    report.exact(`${name}/${what}`, isDeepStrictEqual(found, wanted));
  };
  same(
    'first20_digital',
    digital.map((lead) => [...lead.slice(0, 20)]),
    stored.first20_digital,
  );
  same(
    'last20_digital',
    digital.map((lead) => [...lead.slice(-20)]),
    stored.last20_digital,
  );
  const sums = digital.map((lead) => ((lead.reduce((sum, value) => sum + value, 0) % 65536) + 65536) % 65536);
  same('checksum', sums, stored.checksum_mod_65536);
  const missing = digital.map((lead, s) => {
    const mark = WFDB_MISSING[header.signals[s]!.format];
    return lead.reduce((count, value) => count + (value === mark ? 1 : 0), 0);
  });
  same('missing', missing, stored.missing);
  const described = {
    rate: header.rate,
    samples: digital[0]!.length / header.signals[0]!.samplesPerFrame,
    signals: header.signals.map(({ file, format, gain, baseline, unit, first, checksum, lead }) => ({
      ...{ file, format, gain, baseline, unit, first, checksum, lead },
    })),
  };
  same('header', described, stored.header);
}

function compareAnnotations(
  dir: string,
  record: string,
  extension: string,
  stored: StoredAnnotations,
  report: Report,
): void {
  const key = `${record}/annotations.${extension}`;
  try {
    const found = parseWfdbAnnotations(readFileSync(join(dir, `${record}.${extension}`)));
    const summary = { count: found.length, first20: found.slice(0, 20), last: found.at(-1) ?? null };
    report.exact(key, isDeepStrictEqual(summary, stored));
  } catch (error) {
    report.unreadable(key, error);
  }
}
