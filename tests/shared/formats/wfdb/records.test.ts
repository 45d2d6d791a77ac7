/** WFDB headers, samples and annotations: round trips, and files that disagree with their headers. */
import { describe, expect, it } from 'vitest';
import { formatWfdbAnnotations, parseWfdbAnnotations } from '../../../../shared/formats/wfdb/annotations.ts';
import { readWfdbFrames } from '../../../../shared/formats/wfdb/frames.ts';
import { formatWfdbHeader, parseWfdbHeader, signedChecksum } from '../../../../shared/formats/wfdb/header.ts';
import { SampleDecoder, SampleEncoder } from '../../../../shared/formats/wfdb/samples.ts';
import { stream } from '../../../../shared/math/random.ts';

const seed = 20261129;
const integers = (name: string, n: number, limit: number): Int32Array =>
  Int32Array.from(stream(seed, name).uniform(n), (u) => Math.floor(2 * limit * u) - limit);
const bytesOf = (format: '16' | '212', samples: ArrayLike<number>): Uint8Array => {
  const encoder = new SampleEncoder(format);
  const [first, last] = [encoder.push(samples), encoder.end()];
  return Uint8Array.from([...first, ...last]);
};
const inPieces = (bytes: Uint8Array, size: number) =>
  async function* pieces(_file: string, offset: number) {
    for (let at = offset; at < bytes.length; at += size) {
      yield bytes.subarray(at, at + size);
    }
  };
async function read(header: string, bytes: Uint8Array, { piece = 7, block = 5 } = {}): Promise<number[][]> {
  const parsed = parseWfdbHeader(header);
  const out: number[][] = parsed.signals.map(() => []);
  for await (const part of readWfdbFrames(parsed, inPieces(bytes, piece), block)) {
    part.forEach((values, s) => {
      out[s]!.push(...values);
    });
  }
  return out;
}

describe(`samples (seed ${seed})`, () => {
  it.each(['16', '212'] as const)('of format %s survive any cut of bytes and samples, odd counts too', (format) => {
    for (const n of [1, 2, 3, 10, 101]) {
      const samples = integers(`${format} ${n}`, n, format === '16' ? 32768 : 2048);
      const encoder = new SampleEncoder(format);
      const written = [...encoder.push(samples.subarray(0, 1)), ...encoder.push(samples.subarray(1)), ...encoder.end()];
      expect(written).toHaveLength(format === '16' ? 2 * n : Math.ceil(1.5 * n));
      const decoder = new SampleDecoder(format);
      const found: number[] = [];
      for (let at = 0; at < written.length; at += 5) {
        found.push(...decoder.push(Uint8Array.from(written.slice(at, at + 5))));
      }
      found.push(...decoder.end());
      expect(found).toEqual([...samples]);
    }
  });
  it('that do not fit a format are refused', () => {
    expect(() => new SampleEncoder('212').push([2048])).toThrow(/does not fit into format 212/);
  });
});

describe('a header', () => {
  it('takes the defaults of the format and the number in parentheses as the zero', () => {
    const { rate, samples, signals } = parseWfdbHeader(
      'r 3 250/360(1) 5\nr.dat 212\nr.dat 212 0 11 1024\nr.dat 212 200(0)/mV 11 1024\n',
    );
    expect({ rate, samples }).toEqual({ rate: 250, samples: 5 });
    expect(signals.map(({ gain, baseline, unit }) => [gain, baseline, unit])).toEqual([
      [200, 0, 'mV'],
      [200, 1024, 'mV'],
      [200, 0, 'mV'],
    ]);
  });
  it('is written as it is read', () => {
    const text = 'r 2 360/360(0) 5 12:30:00 01/02/2020\nr.dat 16x2:3+8 -0.5e1(7)/uV 12 3 9 -20 0 lead one\n'.replace(
      '-0.5e1',
      '5',
    );
    const both = `${text}s.dat 212 100(0)/mV 0 0 0 0 0 V2\n# a note\n`;
    const header = parseWfdbHeader(both);
    expect(parseWfdbHeader(formatWfdbHeader(header))).toEqual(header);
    expect(header.signals[0]).toMatchObject({ samplesPerFrame: 2, skew: 3, byteOffset: 8, lead: 'lead one' });
  });
  it.each([
    ['', /no record line/],
    ['r/2 2 360 10\n', /several segments/],
    ['r 1 0 10\nr.dat 212 200\n', /sampling rate is '0'/],
    ['r 1 360 10\nr.dat 80 200\n', /format 80; formats 16 and 212/],
    ['r 1 360 10\nr.dat 212 -200\n', /the gain is -200/],
    ['r 2 360 10\nr.dat 212 200\n', /announces 2 signals and describes 1/],
    ['r 1 360 10\n../x.dat 212 200\n', /no name of a signal file/],
  ])('that is wrong is refused: %j', (text, why) => {
    expect(() => parseWfdbHeader(text)).toThrow(why);
  });
});

describe('frames', () => {
  it('honour samples per frame, skew and byte offset, all together', async () => {
    const frames = 11;
    const fast = integers('fast', 2 * frames, 1000);
    const late = integers('late', frames, 1000);
    // In the file the late signal's sample of frame t stands in frame t + 2.
    const stored = Array.from({ length: frames }, (_, t) => [
      fast[2 * t]!,
      fast[2 * t + 1]!,
      t < 2 ? 5 : late[t - 2]!,
    ]).flat();
    const bytes = Uint8Array.from([1, 2, 3, ...bytesOf('16', stored)]);
    const found = await read(`r 2 360 ${frames}\nr.dat 16x2+3 200\nr.dat 16:2+3 200\n`, bytes);
    expect(found[0]).toEqual([...fast]);
    expect(found[1]).toEqual([...late.slice(0, frames - 2), -32768, -32768]);
  });
  it('that are fewer or more than announced, or do not add up, are refused', async () => {
    const samples = integers('sum', 20, 1000);
    const bytes = bytesOf('16', samples);
    const sum = signedChecksum(samples.reduce((a, b) => a + b, 0));
    const header = (n: number, checksum: number) => `r 1 360 ${n}\nr.dat 16 200 12 0 ${samples[0]} ${checksum} 0 I\n`;
    expect(await read(header(20, sum), bytes)).toEqual([[...samples]]);
    await expect(read(header(21, sum), bytes)).rejects.toThrow(/announces 21 samples per signal, the files hold 20/);
    await expect(read(header(19, sum), bytes)).rejects.toThrow(/goes on after the 19 frames/);
    await expect(read(header(20, sum + 1), bytes)).rejects.toThrow(/modulo 2\^16/);
    const swapped = Uint8Array.from(bytes, (_, i) => bytes[i % 2 === 0 ? i + 1 : i - 1]!);
    await expect(read(header(20, sum), swapped)).rejects.toThrow(/format 61/);
  });
});

describe('annotations', () => {
  it('survive long steps, carried channels and odd texts', () => {
    const plain = { subtype: 0, chan: 0, num: 0, aux: '' };
    const list = [
      { ...plain, sample: 5, code: 1 },
      { ...plain, sample: 5, code: 28, aux: '(AFIB' },
      { ...plain, sample: 900_000, code: 5, chan: 1, num: -2, subtype: -1 },
      { ...plain, sample: 900_400, code: 22, chan: 1, num: -2, aux: 'flat' },
    ];
    const found = parseWfdbAnnotations(formatWfdbAnnotations(list));
    expect(found.map(({ symbol: _symbol, ...rest }) => rest)).toEqual(list);
    expect(found.map(({ symbol }) => symbol)).toEqual(['N', '+', 'V', '"']);
  });
});
