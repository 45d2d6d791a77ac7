/** Recordings that come as one column of numbers per lead: requests, CSV, JSON and npy files. They are read whole. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VOLTAGE_UNITS } from '../../../shared/contracts/ecg-record.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { writeCsv } from '../../../shared/formats/csv.ts';
import { npyPrefix } from '../../../shared/formats/npy.ts';
import type { OpenedRecord } from './record.ts';

type Columns = { rate: number; unit: string; leads: readonly { name: string; values: Float64Array }[] };
type ColumnFormat = 'csv' | 'json' | 'npy';
/** Samples of a lead that are read at a time. */
const BLOCK = 65_536;

/** @throws SextantError `data_invalid` for leads of different lengths or no lead at all */
export function columnsRecord({ rate, unit, leads }: Columns, format: ColumnFormat): OpenedRecord {
  const length = leads[0]?.values.length ?? 0;
  const odd = leads.find(({ values }) => values.length !== length);
  if (odd) {
    throw new SextantError(
      'data_invalid',
      `lead '${odd.name}' has ${odd.values.length} samples, '${leads[0]!.name}' ${length}`,
    );
  }
  if (leads.length === 0) {
    throw new SextantError('data_invalid', 'there is no lead');
  }
  const name = `denoised.${format}`;
  return {
    format,
    leads: leads.map((lead) => ({ name: lead.name, unit, millivolts: VOLTAGE_UNITS[unit]!, rate, range: null })),
    frameRate: rate,
    notices: [],
    async *blocks() {
      for (let from = 0; from < length; from += BLOCK) {
        yield leads.map(({ values }) => values.subarray(from, from + BLOCK));
      }
    },
    async write(cleaned, folder) {
      const columns: Float64Array[] = [];
      for (const read of cleaned) {
        columns.push(await read(0, length));
      }
      await writeFile(join(folder, name), encoded({ rate, unit, leads }, columns, format));
      return [name];
    },
  };
}

function encoded({ rate, unit, leads }: Columns, columns: readonly Float64Array[], format: ColumnFormat): Uint8Array {
  if (format === 'npy') {
    const prefix = npyPrefix('float64', [columns.length, columns[0]!.length]);
    const bytes = new Uint8Array(prefix.length + columns.length * columns[0]!.byteLength);
    bytes.set(prefix);
    columns.forEach((column, c) => {
      bytes.set(
        new Uint8Array(column.buffer, column.byteOffset, column.byteLength),
        prefix.length + c * column.byteLength,
      );
    });
    return bytes;
  }
  const text =
    format === 'csv'
      ? writeCsv(leads.map(({ name }, c) => ({ name, values: columns[c]! })))
      : JSON.stringify({
          rate_hz: rate,
          unit,
          leads: leads.map(({ name }, c) => ({ name, samples: Array.from(columns[c]!, shortened) })),
        });
  return new TextEncoder().encode(text);
}

/** Six digits are more than any converter has. */
const shortened = (value: number): number | null => (Number.isNaN(value) ? null : Number(value.toPrecision(6)));
