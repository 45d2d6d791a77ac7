/** WFDB records in a folder: whole recordings in physical units, for training and checks. */
import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readWfdbFrames } from '../../../shared/formats/wfdb/frames.ts';
import { parseWfdbHeader, WFDB_MISSING, type WfdbHeader } from '../../../shared/formats/wfdb/header.ts';

/** @param path of the record without its extension */
async function readHeaderFile(path: string): Promise<WfdbHeader> {
  if (!existsSync(`${path}.hea`)) {
    throw new SextantError('data_invalid', `there is no header ${basename(path)}.hea`);
  }
  return parseWfdbHeader(await readFile(`${path}.hea`, 'utf8'));
}

/** The bytes of a record's signal file. */
const bytesBeside = (folder: string) =>
  async function* open(file: string, offset: number): AsyncGenerator<Uint8Array> {
    const path = join(folder, file);
    if (!existsSync(path)) {
      throw new SextantError('data_invalid', `the signal file ${file} is missing`);
    }
    for await (const chunk of createReadStream(path, { start: offset, highWaterMark: 3 * 2 ** 16 })) {
      yield chunk as Uint8Array;
    }
  };

export type WholeRecord = { header: WfdbHeader; digital: Int32Array[] };

/** All samples of a record as stored. @throws SextantError `data_invalid` */
export async function readWholeRecord(path: string): Promise<WholeRecord> {
  const header = await readHeaderFile(path);
  const blocks: Int32Array[][] = header.signals.map(() => []);
  for await (const block of readWfdbFrames(header, bytesBeside(dirname(path)), 65536)) {
    block.forEach((values, s) => {
      blocks[s]!.push(values);
    });
  }
  const digital = blocks.map((parts) => {
    const all = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  });
  return { header, digital };
}

/** Samples of every signal in its unit; missing ones are NaN. */
export const physical = ({ header, digital }: WholeRecord): Float64Array[] =>
  digital.map((values, s) => {
    const { gain, baseline, format } = header.signals[s]!;
    const missing = WFDB_MISSING[format];
    return Float64Array.from(values, (value) => (value === missing ? Number.NaN : (value - baseline) / gain));
  });
