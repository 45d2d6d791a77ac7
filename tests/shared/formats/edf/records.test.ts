/** EDF and EDF+: headers, records, gaps, and what is broken. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ANNOTATIONS, type EdfHeader, type EdfSignal, parseEdfHeader } from '../../../../shared/formats/edf/header.ts';
import { type EdfRecord, edfScale, openEdf } from '../../../../shared/formats/edf/records.ts';
import { edfFile, formatAnnotationLists } from '../../../support/edf-files.ts';

const signal = (changes: Partial<EdfSignal> = {}): EdfSignal => ({
  ...{ label: 'ECG', transducer: 'AgCl', unit: 'uV', physicalMin: -3276.8, physicalMax: 3276.7, digitalMin: -32768 },
  ...{ digitalMax: 32767, prefilter: '', samples: 4, reserved: '', ...changes },
});
const header = (changes: Partial<EdfHeader> = {}): EdfHeader => ({
  ...{
    patient: 'X',
    recording: 'Startdate X',
    startDate: '01.02.20',
    startTime: '03.04.05',
    kind: 'EDF',
    reserved: '',
  },
  ...{ records: 2, duration: 1, signals: [signal()], ...changes },
});
async function* inPieces(bytes: Uint8Array, size = 100) {
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size);
  }
}
async function read(bytes: Uint8Array): Promise<EdfRecord[]> {
  const found: EdfRecord[] = [];
  for await (const record of (await openEdf(inPieces(bytes))).records) {
    found.push(record);
  }
  return found;
}
const words = (bytes: Uint8Array): number[] =>
  Array.from({ length: bytes.length / 2 }, (_, i) => ((bytes[2 * i]! | (bytes[2 * i + 1]! << 8)) << 16) >> 16);

describe('a file', () => {
  it('gives back its header and its samples bit by bit', async () => {
    const records = [[[1, -2, 32767, -32768]], [[0, 5, 6, 7]]];
    const bytes = edfFile(header(), records);
    expect(parseEdfHeader(bytes)).toEqual(header());
    expect((await read(bytes)).map(({ signals }) => signals.map((values) => [...values]))).toEqual(records);
  });
  it('of several stretches says when each begins', async () => {
    const tal = (onset: number) =>
      words(formatAnnotationLists(onset, [{ onset, duration: 2, text: 'Ängstlich' }], 40).bytes);
    const head = header({
      kind: 'EDF+D',
      reserved: 'EDF+D',
      signals: [signal(), signal({ label: ANNOTATIONS, samples: 20, unit: '' })],
    });
    const found = await read(
      edfFile(head, [
        [[1, 2, 3, 4], tal(0.5)],
        [[5, 6, 7, 8], tal(61)],
      ]),
    );
    expect(found.map(({ onset }) => onset)).toEqual([0.5, 61]);
    expect(found[1]!.annotations).toEqual([{ onset: 61, duration: 2, text: 'Ängstlich' }]);
  });
  it('scales by ranges that fall as well as by those that rise, and leaves dummies out', () => {
    const rising = edfScale(signal())!;
    expect(rising.zero + 1000 * rising.gain).toBeCloseTo(100, 3);
    const falling = edfScale(signal({ physicalMin: 100, physicalMax: -100, digitalMin: -100, digitalMax: 100 }))!;
    expect(falling.gain).toBe(-1);
    expect(edfScale(signal({ label: '-', physicalMin: 0, physicalMax: 0 }))).toBeNull();
  });
});

describe('what is broken', () => {
  const bytes = edfFile(header(), [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]);
  const changed = (at: number, text: string): Uint8Array => {
    const copy = bytes.slice();
    for (let i = 0; i < text.length; i++) {
      copy[at + i] = text.charCodeAt(i);
    }
    return copy;
  };
  it.each([
    ['a truncated record', bytes.slice(0, -3), /data record 2 has 5 of 8 bytes/],
    ['a missing record', bytes.slice(0, -8), /announces 2 data records, the file holds 1/],
    ['a record too many', Uint8Array.from([...bytes, ...new Uint8Array(8)]), /goes on after the 2 data records/],
    ['another version', changed(0, '1       '), /begins with '1 +'/],
    ['no number of signals', changed(252, 'four'), /number of signals is 'four'/],
    ['a header length that is another', changed(184, '1024    '), /1 signals make 512/],
    ['a physical minimum of letters', changed(256 + 16 + 80 + 8, 'low     '), /physical minimum of signal 0 is 'low'/],
    ['a file that ends in its header', bytes.slice(0, 300), /ends within its header/],
  ])('%s is refused with its place', async (_name, broken, why) => {
    await expect(read(broken)).rejects.toMatchObject({ code: 'data_invalid', message: expect.stringMatching(why) });
  });
});

describe('beside another reader', () => {
  it('finds the samples and sizes that edfdecoder 0.1.2 finds, negative gains included', async () => {
    const { file: text, signals } = JSON.parse(readFileSync(join(import.meta.dirname, 'edfdecoder.json'), 'utf8')) as {
      file: string;
      signals: { label: string; unit: string; raw: number[][]; physical: number[][] }[];
    };
    const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
    const head = parseEdfHeader(bytes);
    const records = await read(bytes);
    for (const [s, theirs] of signals.entries()) {
      const ours = head.signals[s]!;
      expect([ours.label, ours.unit]).toEqual([theirs.label, theirs.unit]);
      const { gain, zero } = edfScale(ours)!;
      expect(records.map((record) => [...record.signals[s]!])).toEqual(theirs.raw);
      for (const [r, values] of theirs.physical.entries()) {
        values.forEach((value, i) => {
          expect(zero + gain * records[r]!.signals[s]![i]!).toBeCloseTo(value, 3);
        });
      }
    }
  });
});
