/** What the job `ecg.denoise` says of recordings that are broken or that nobody means, and that it writes nothing for them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import handler from '../../../gpu-worker/jobs/ecg.denoise.ts';
import type { HandlerInput } from '../../../gpu-worker/jobs/handler.ts';
import type { EdfSignal } from '../../../shared/formats/edf/header.ts';
import { openEdf } from '../../../shared/formats/edf/records.ts';
import { npyPrefix } from '../../../shared/formats/npy.ts';
import { parseWfdbAnnotations } from '../../../shared/formats/wfdb/annotations.ts';
import { parseWfdbHeader } from '../../../shared/formats/wfdb/header.ts';
import contract from '../../../shared/jobs/ecg.denoise.ts';
import { edfFile } from '../../support/edf-files.ts';
import { writeHalfModel } from '../../support/half-model.ts';
import { type Files, jobsOfFile } from './support/run-job.ts';

const { runJob, upload } = jobsOfFile();
let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ecg-model-'));
  await writeHalfModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

type Sent = { record: unknown; inputs?: Record<string, HandlerInput> };
const run = ({ record, inputs = {} }: Sent, files: Files = new Map()) =>
  runJob(contract, handler, { record, model: { local: 'half' }, picture: false }, inputs, { half: folder }, files);

const art = (letter: string) => `art_${letter.repeat(26)}`;
/** A wave of 100 steps of a converter. */
const wave = (n: number) => Int16Array.from({ length: n }, (_, i) => Math.round(100 * Math.sin(i / 15)));
const bytesOf = (values: Int16Array) => new Uint8Array(values.buffer.slice(0));
const exchanged = (bytes: Uint8Array) => Uint8Array.from(bytes, (_, i) => bytes[i % 2 === 0 ? i + 1 : i - 1]!);
const sumOf = (values: Int16Array) => values.reduce((sum, value) => sum + value, 0);

const wfdb = (header: string, bytes: Uint8Array = bytesOf(wave(720)), file = 'r.dat'): Sent => ({
  record: {
    format: 'wfdb',
    files: [
      { name: 'r.hea', artefact: art('a') },
      { name: file, artefact: art('b') },
    ],
  },
  inputs: { [art('a')]: upload('r.hea', header), [art('b')]: upload(file, bytes) },
});
/** One signal of format 16 with fields that differ from usual ones. */
const plain = ({ rate = '360', samples = 720, format = '16', gain = '200(0)/mV', checksum = '' } = {}) =>
  `r 1 ${rate} ${samples}\nr.dat ${format} ${gain} 12 0 ${checksum && `0 ${checksum} 0 I`}\n`;

const signal = (changes: Partial<EdfSignal> = {}): EdfSignal => ({
  ...{ label: 'ECG', transducer: '', unit: 'mV', physicalMin: -10.24, physicalMax: 10.235, digitalMin: -2048 },
  ...{ digitalMax: 2047, prefilter: '', samples: 360, reserved: '', ...changes },
});
const one = (format: string, bytes: Uint8Array | string, more: object = {}): Sent => ({
  record: { format, artefact: art('a'), ...more },
  inputs: { [art('a')]: upload(`x.${format}`, bytes) },
});
const edf = (signals: EdfSignal[], { records = 2, duration = 1 } = {}, change = (bytes: Uint8Array) => bytes): Sent =>
  one(
    'edf',
    change(
      edfFile(
        { signals, duration, records },
        Array.from({ length: records }, () => signals.map(({ samples }) => wave(samples))),
      ),
    ),
  );
const written = (at: number, text: string) => (bytes: Uint8Array) => {
  bytes.set(new TextEncoder().encode(text), at);
  return bytes;
};
const npy = (prefix: Uint8Array, values: Uint8Array): Sent =>
  one('npy', Uint8Array.from([...prefix, ...values]), { rate_hz: 360, unit: 'mV' });
const inline = (leads: (number | null)[][]): Sent => ({
  record: { rate_hz: 360, unit: 'mV', leads: leads.map((samples, i) => ({ name: `${i}`, samples })) },
});
const described = { rate_hz: 360, unit: 'mV' };

const REFUSED: [string, Sent, RegExp][] = [
  ['a header with more samples than the file', wfdb(plain({ samples: 721 })), /announces 721 .* the files hold 720/],
  ['a header with fewer samples than the file', wfdb(plain({ samples: 719 })), /goes on after the 719 frames/],
  ['a header of two signals beside a file of one', wfdb(`r 2 360 720\nr.dat 16\nr.dat 16\n`), /files hold 360/],
  ['a header that names another file', wfdb(plain(), undefined, 's.dat'), /names r\.dat, which was not sent/],
  ['samples that do not add up', wfdb(plain({ checksum: '7' })), /modulo 2\^16, the header says 7/],
  [
    'a WFDB file in the wrong byte order',
    wfdb(plain({ checksum: `${sumOf(wave(720))}` }), exchanged(bytesOf(wave(720)))),
    /two bytes of every sample exchanged/,
  ],
  ['a truncated last pair', wfdb(plain({ format: '212', samples: 480 }), new Uint8Array(719)), /files hold 479/],
  ['a negative gain', wfdb(plain({ gain: '-200/mV' })), /the gain is -200/],
  ['a rate of 0', wfdb(plain({ rate: '0' })), /sampling rate is '0'/],
  ['a rate of 50 kHz', wfdb(plain({ rate: '50000' })), /50000 Hz; rates from 50 to 2000 Hz/],
  ['one sample', wfdb(plain({ samples: 1 }), new Uint8Array(2)), /at least two samples/],
  ['no sample', wfdb(plain({ samples: 0 }), new Uint8Array(0)), /at least two samples/],
  ['missing samples alone', wfdb(plain(), bytesOf(new Int16Array(720).fill(-32768))), /every sample is missing/],
  ['an unknown unit', wfdb(plain({ gain: '200(0)/furlong' })), /no signal is in a unit of voltage: furlong/],
  ['another WFDB format', wfdb(plain({ format: '310' })), /format 310; formats 16 and 212/],
  ['several segments', wfdb('r/2 1 360 720\n'), /several segments/],
  [
    '200 WFDB leads',
    wfdb(`r 200 360 3\n${'r.dat 16 200\n'.repeat(200)}`, new Uint8Array(1200)),
    /200 leads; at most 64/,
  ],
  ['a zip in place of a signal file', wfdb(plain(), new TextEncoder().encode('PK\u0003\u0004....')), /a zip archive/],

  ['an EDF file that ends in a record', edf([signal()], {}, (bytes) => bytes.slice(0, -3)), /record 2 has 717 of 720/],
  ['an EDF file with a record too few', edf([signal()], {}, (bytes) => bytes.slice(0, -720)), /holds 1/],
  ['an EDF file with a record too many', edf([signal()], {}, written(236, '1       ')), /after the 1 data records/],
  ['an EDF gain of 0', edf([signal({ physicalMax: -10.24 })]), /no signal is an electric lead: .* has no range/],
  ['an EDF rate of 0', edf([signal()], {}, written(244, '0       ')), /data records of 0 s/],
  ['an EDF rate of 50 kHz', edf([signal({ samples: 500 })], { duration: 0.01 }), /50000 Hz/],
  ['one EDF sample', edf([signal({ samples: 1 })], { duration: 0.01, records: 1 }), /at least two samples/],
  ['an EDF unit that is none', edf([signal({ unit: 'furlong' })]), /'furlong', no unit of voltage/],
  [
    'an EDF header field of letters',
    edf([signal()], {}, written(256 + 104, 'low     ')),
    /minimum of signal 0 is 'low'/,
  ],
  ['an EDF file in the wrong byte order', edf([signal()], {}, swapSamples), /fit with their two bytes exchanged/],
  ['200 EDF leads', edf(new Array<EdfSignal>(200).fill(signal())), /200 leads; at most 64/],

  ['a CSV file of one sample', one('csv', 'I,II\n1,2\n', described), /at least two samples/],
  ['a CSV file of texts', one('csv', 'I\nhigh\nlow\n', described), /column 'I' holds texts/],
  ['a JSON document in an unknown unit', one('json', '{"rate_hz":360,"unit":"furlong","leads":[]}'), /\/unit/],
  ['no JSON', one('json', '{"rate_hz":'), /not JSON/],
  ['an npy array of three axes', npy(npyPrefix('float64', [1, 1, 2]), new Uint8Array(16)), /\[leads, samples\]/],
  ['an npy array of 200 leads', npy(npyPrefix('float64', [200, 2]), new Uint8Array(3200)), /at most 64 leads/],
  ['an npy array that is cut', npy(npyPrefix('float64', [1, 4]), new Uint8Array(31)), /takes 32 bytes/],
  [
    'leads of different lengths',
    inline([
      [1, 2, 3],
      [1, 2],
    ]),
    /'1' has 2 samples/,
  ],
  ['a request of missing samples', inline([[null, null, null]]), /every sample is missing/],

  ['a zip', one('edf', 'PK\u0003\u0004....'), /a zip archive/],
  ['a gzip file', one('csv', Uint8Array.of(31, 139, 8, 0), described), /a gzip file/],
  ['DICOM', one('edf', Uint8Array.from([...new Uint8Array(128), ...Buffer.from('DICM....')])), /a DICOM waveform/],
  ['SCP-ECG', one('edf', Uint8Array.from([...new Uint8Array(16), ...Buffer.from('SCPECG..')])), /an SCP-ECG record/],
  ['aECG', one('json', '<?xml version="1.0"?>\n<AnnotatedECG xmlns="urn:hl7-org:v3">'), /an HL7 annotated ECG/],
  ['ISHNE', one('edf', 'ISHNE1.0........'), /an ISHNE Holter file/],
];

/** The header stays as it is. */
function swapSamples(bytes: Uint8Array): Uint8Array {
  bytes.set(exchanged(bytes.subarray(512)), 512);
  return bytes;
}

describe('what is refused, with nothing written', () => {
  it.each(REFUSED)('%s', async (_what, sent, why) => {
    const files: Files = new Map();
    await expect(run(sent, files)).rejects.toMatchObject({
      code: 'data_invalid',
      message: expect.stringMatching(why),
    });
    expect([...files.keys()]).toEqual([]);
  });

  it('at the door: rates, units and leads that nobody means', () => {
    const lead = { name: 'I', samples: [1, 2] };
    const parse = (changes: object) =>
      contract.params.safeParse({ record: { rate_hz: 360, unit: 'mV', leads: [lead], ...changes } }).success;
    expect(parse({})).toBe(true);
    for (const changes of [
      { rate_hz: 0 },
      { rate_hz: 50_000 },
      { unit: 'furlong' },
      { leads: [{ name: 'I', samples: [1] }] },
      { leads: new Array(200).fill(lead) },
    ]) {
      expect(parse(changes), JSON.stringify(changes).slice(0, 60)).toBe(false);
    }
  });
});

describe('what is odd but means something', () => {
  it('a gain of 0 is the default of 200 per mV, and is written so', async () => {
    const { outcome, files } = await run(wfdb(plain({ gain: '0' })));
    expect(outcome.result).toMatchObject({ seconds: 2, notices: [] });
    const header = parseWfdbHeader(readFileSync(files.get('r.hea')!.path, 'utf8'));
    expect(header.signals[0]).toMatchObject({ gain: 200, baseline: 0, unit: 'mV' });
  });

  it('leads of unequal rates keep them, and a falling range is a negative gain', async () => {
    const slow = signal({ label: 'slow', samples: 125 });
    const falling = signal({ label: 'falling', physicalMin: 10.235, physicalMax: -10.24 });
    const dummy = signal({ label: '-', physicalMin: 0, physicalMax: 0, samples: 1 });
    const { outcome, files } = await run(edf([slow, falling, signal(), dummy], { records: 3 }));
    expect(outcome.result.leads.map(({ name, rate_hz }) => [name, rate_hz])).toEqual([
      ['slow', 125],
      ['falling', 360],
      ['ECG', 360],
    ]);
    expect(outcome.result.notices).toEqual(["signal '-' has no range: it is passed through as it is"]);
    const bytes = readFileSync(files.get('denoised.edf')!.path);
    const records = [];
    for await (const record of (await openEdf(readOnce(bytes))).records) {
      records.push(record.signals);
    }
    // The same steps under gains of opposite sign are mirrored signals, of which half is left.
    for (const [i, value] of records[1]![1]!.entries()) {
      expect(Math.abs(value - records[1]![2]![i]!)).toBeLessThanOrEqual(2);
      expect(Math.abs(value)).toBeLessThan(70);
    }
    expect([...records[1]![3]!]).toEqual([...wave(1)]);
  });

  it('notes stand at the frames of the record where a lead has several samples per frame', async () => {
    const { files } = await run(wfdb(plain({ format: '16x2', rate: '180', samples: 360 }), new Uint8Array(1440)));
    const notes = parseWfdbAnnotations(readFileSync(files.get('quality.qua')!.path));
    expect(notes.map(({ sample, aux }) => [sample, aux])).toEqual([
      [0, 'flat'],
      [180, 'flat'],
    ]);
  });
});

async function* readOnce(bytes: Uint8Array) {
  yield bytes;
}
