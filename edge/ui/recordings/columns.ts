/** JSON and CSV, where no time is a place in the file: short ones are read whole. */
import type { Artefact, Lead, ReadBytes, Recording } from './recording.ts';

const MOST_WHOLE = 32e6;

export async function readColumns(
  file: Artefact,
  kind: string,
  leads: readonly Lead[],
  seconds: number,
  bytes: ReadBytes,
  signal: AbortSignal,
): Promise<Recording> {
  if (file.bytes > MOST_WHOLE) {
    throw new Error(
      `${file.name} would have to be read whole, which is too much for a page; send long recordings as WFDB, EDF or npy, which are read in parts`,
    );
  }
  const text = new TextDecoder().decode(await bytes(file, 0, file.bytes, signal));
  const columns = kind === 'json' ? ofJson(text) : ofCsv(text, leads.length);
  return {
    leads,
    seconds,
    read: async (from, to) =>
      columns.map((values, k) => values.subarray(Math.round(from * leads[k]!.rate), Math.round(to * leads[k]!.rate))),
  };
}

const number = (value: unknown): number =>
  value === null || value === '' || value === undefined ? Number.NaN : Number(value);

const ofJson = (text: string): Float64Array[] =>
  (JSON.parse(text) as { leads: { samples: (number | null)[] }[] }).leads.map(({ samples }) =>
    Float64Array.from(samples, number),
  );

/** As the service writes it: a line of names, then numbers without quotes. */
function ofCsv(text: string, count: number): Float64Array[] {
  const lines = text.trimEnd().split(/\r?\n/).slice(1);
  const cells = lines.map((line) => line.split(','));
  return Array.from({ length: count }, (_, k) => Float64Array.from(cells, (row) => number(row[k])));
}
