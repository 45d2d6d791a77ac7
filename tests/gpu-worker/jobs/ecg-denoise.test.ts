/** The job `ecg.denoise` from files to files, with a model whose answer is known: half the signal without drift. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bandPass, highPass } from '../../../gpu-worker/ecg/signal/butterworth.ts';
import { zeroPhase } from '../../../gpu-worker/ecg/signal/zero-phase.ts';
import { syntheticPatient } from '../../../gpu-worker/ecg/training/synthetic.ts';
import handler from '../../../gpu-worker/jobs/ecg.denoise.ts';
import type { HandlerInput } from '../../../gpu-worker/jobs/handler.ts';
import { parseWfdbAnnotations } from '../../../shared/formats/wfdb/annotations.ts';
import { readWfdbFrames } from '../../../shared/formats/wfdb/frames.ts';
import {
  formatWfdbHeader,
  parseWfdbHeader,
  signedChecksum,
  type WfdbSignal,
} from '../../../shared/formats/wfdb/header.ts';
import { SampleEncoder } from '../../../shared/formats/wfdb/samples.ts';
import contract from '../../../shared/jobs/ecg.denoise.ts';
import { writeHalfModel } from '../../support/half-model.ts';
import { type Files, jobsOfFile } from './support/run-job.ts';

const { runJob, upload } = jobsOfFile();
let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ecg-model-'));
  await writeHalfModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const art = (letter: string) => `art_${letter.repeat(26)}`;
const run = (record: unknown, inputs: Record<string, HandlerInput> = {}) =>
  runJob(contract, handler, { record, model: { local: 'half' } }, inputs, { half: folder });
const fileOf = (files: Files, name: string) => readFileSync(files.get(name)!.path);

/** What the model makes of samples at its own rate. */
const expected = (x: Float64Array) => zeroPhase(highPass(0.67, 360), x).map((value) => value / 2);
const worst = (a: ArrayLike<number>, b: ArrayLike<number>, edge = 0) => {
  let largest = 0;
  for (let i = edge; i < a.length - edge; i++) {
    largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  }
  return largest;
};

describe('a request at the rate of the network', () => {
  it('comes back without drift and without seams, over several stretches', async () => {
    const n = 36_000;
    // A ramp, a slow sine and a fast one: any seam between windows or stretches would stand out.
    const x = Float64Array.from({ length: n }, (_, i) => i / 9000 + Math.sin(i / 900) + Math.sin(i / 7));
    const { outcome, files: written } = await run({
      rate_hz: 360,
      unit: 'mV',
      leads: [{ name: 'I', samples: [...x].map((v) => Number(v.toFixed(5))) }],
    });
    const { files } = outcome.result;
    expect(files).toEqual(['denoised.json']);
    expect(outcome.result).toMatchObject({ seconds: 100, model: 'local:half', record: null, notices: [] });
    const { leads } = JSON.parse(fileOf(written, 'denoised.json').toString()) as { leads: { samples: number[] }[] };
    // The network works in single precision and the answer has six digits.
    expect(worst(leads[0]!.samples, expected(x))).toBeLessThan(1e-4);
  });

  it('keeps its samples in the result where they fit, and marks what is missing', async () => {
    const [lead] = syntheticPatient(1, 0, 8) as [Float64Array];
    const samples: (number | null)[] = [...lead].map((value) => Number(value.toFixed(4)));
    for (let i = 1000; i < 1100; i++) {
      samples[i] = null;
    }
    const { outcome, files } = await run({ rate_hz: 360, unit: 'uV', leads: [{ name: 'II', samples }] });
    const { record } = outcome.result;
    const got = record!.leads[0]!.samples;
    expect(got).toHaveLength(samples.length);
    expect(got.map((value) => value === null)).toEqual(samples.map((value) => value === null));
    const bridged = Float64Array.from(
      samples,
      (value, i) => value ?? samples[999]! + ((samples[1100]! - samples[999]!) * (i - 999)) / 101,
    );
    const wanted = expected(bridged);
    expect(
      worst(
        got.map((value, i) => value ?? wanted[i]!),
        wanted,
      ),
    ).toBeLessThan(2e-3);
    const quality = JSON.parse(fileOf(files, 'quality.json').toString()) as { leads: { flags: string[][] }[] };
    expect(quality.leads[0]!.flags.map((flags) => flags.includes('missing'))).toEqual([
      ...[false, false, true, true, false, false, false, false],
    ]);
    const notes = parseWfdbAnnotations(fileOf(files, 'quality.qua')).filter(({ aux }) => aux.includes('missing'));
    expect(notes.map(({ sample }) => sample)).toEqual([720, 1080]);
    expect(fileOf(files, 'picture.svg').toString()).toContain('<svg');
  });
});

describe('a flat lead', () => {
  it('is flagged in every second and comes back as it was, beside a lead that is not', async () => {
    const [moving] = syntheticPatient(1, 0, 8) as [Float64Array];
    const leads = [
      { name: 'I', samples: [...moving] },
      { name: 'II', samples: new Array(moving.length).fill(0) },
    ];
    const { outcome, files } = await run({ rate_hz: 360, unit: 'mV', leads });
    const { record } = outcome.result as { record: { leads: { samples: (number | null)[] }[] } };
    expect(record.leads[1]!.samples.every((value) => Math.abs(value!) < 1e-6)).toBe(true);
    expect(record.leads[0]!.samples.every((value) => Number.isFinite(value))).toBe(true);
    const quality = JSON.parse(fileOf(files, 'quality.json').toString()) as { leads: { flags: string[][] }[] };
    expect(quality.leads[1]!.flags.every((flags) => flags.includes('flat'))).toBe(true);
    expect(quality.leads[0]!.flags.some((flags) => flags.includes('flat'))).toBe(false);
  });
});

describe('a WFDB record', () => {
  const signal = (lead: string, unit: string, first: number): WfdbSignal => ({
    ...{ file: 'r.dat', format: '212', samplesPerFrame: 1, skew: 0, byteOffset: 0, gain: 200, baseline: 10, unit },
    ...{ adcResolution: 12, adcZero: 0, first, checksum: null, blockSize: 0, lead },
  });

  it('at another rate keeps its layout, gains, other signals and length', async () => {
    const rate = 250;
    const frames = 5001;
    const wave = zeroPhase(bandPass(1, 30, rate), syntheticPatient(2, 1, 30)[0]!.slice(0, frames));
    const columns = [0, 1, 2].map((c) =>
      Int32Array.from({ length: frames }, (_, i) => Math.round(c === 2 ? i % 100 : 150 * wave[i]! + 10)),
    );
    columns[1]!.fill(-2048, 400, 420);
    const all = new Int32Array(3 * frames);
    for (const [c, column] of columns.entries()) {
      for (const [i, value] of column.entries()) {
        all[3 * i + c] = value;
      }
    }
    const encoder = new SampleEncoder('212');
    const bytes = Buffer.concat([encoder.push(all), encoder.end()]);
    const signals = [signal('I', 'mV', 0), signal('II', 'mV', 0), signal('SpO2', '%', 0)].map((s, c) => ({
      ...s,
      checksum: signedChecksum(columns[c]!.reduce((sum, value) => sum + value, 0)),
    }));
    const header = formatWfdbHeader({
      name: 'r',
      rate,
      counter: '',
      samples: frames,
      start: '',
      signals,
      comments: [' a note'],
    });
    const record = {
      format: 'wfdb',
      files: [
        { name: 'r.hea', artefact: art('a') },
        { name: 'r.dat', artefact: art('b') },
      ],
    };
    const { outcome, files } = await run(record, {
      [art('a')]: upload('r.hea', header),
      [art('b')]: upload('r.dat', bytes),
    });
    expect(outcome.result).toMatchObject({ files: ['r.hea', 'r.dat'], seconds: 21 });
    expect(outcome.result.notices[0]).toContain('SpO2');
    const written = parseWfdbHeader(fileOf(files, 'r.hea').toString());
    expect(written).toMatchObject({ name: 'r', rate, samples: frames, comments: [' a note'] });
    expect(written.signals.map(({ gain, baseline, format }) => [gain, baseline, format])).toEqual(
      signals.map(({ gain, baseline, format }) => [gain, baseline, format]),
    );
    const blocks: Int32Array[][] = [];
    for await (const block of readWfdbFrames(written, async function* () {
      yield new Uint8Array(fileOf(files, 'r.dat'));
    })) {
      blocks.push(block);
    }
    const got = [0, 1, 2].map((c) => Int32Array.from(blocks.flatMap((block) => [...block[c]!])));
    expect(got[2]).toEqual(columns[2]);
    expect([...got[1]!].map((value) => value === -2048)).toEqual([...columns[1]!].map((value) => value === -2048));
    // Half of a signal that lies within the band, in steps of 1 / 200 mV.
    const first = Float64Array.from(got[0]!, (value) => value - 10);
    const half = Float64Array.from(columns[0]!, (value) => (value - 10) / 2);
    expect(worst(first, half, 500)).toBeLessThan(6);
  });
});
