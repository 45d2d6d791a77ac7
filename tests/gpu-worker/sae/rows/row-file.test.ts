import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { columnFromArray, fixedSizeList, float32, list, tableFromColumns, tableToIPC } from '@uwdata/flechette';
import { afterAll, describe, expect, it } from 'vitest';
import { sampleRows } from '../../../../gpu-worker/sae/rows/file-blocks.ts';
import { openRowFile } from '../../../../gpu-worker/sae/rows/row-file.ts';
import { RowFiles } from '../../../../gpu-worker/sae/rows/row-files.ts';
import { permutation } from '../../../../gpu-worker/sae/rows/shuffle.ts';
import { floatTensor, writeSafetensors } from '../../../../shared/formats/safetensors.ts';
import { stream } from '../../../../shared/math/random.ts';
import { arrowColumns, arrowFile, npyFile } from '../../../support/row-files.ts';

const SEED = Number(process.env.SEED ?? 4);
const [ROWS, WIDTH] = [130, 6];

describe(`files of rows (seed ${SEED})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'sextant-rows-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  // Halves of small integers are exact in every dtype.
  const x = Float32Array.from(stream(SEED, 'rows').integers(ROWS * WIDTH, 200), (value) => value / 2 - 50);
  let written = 0;
  const open = (bytes: Uint8Array, tensor: string | null = null) => {
    const path = join(folder, `file-${written++}`);
    writeFileSync(path, bytes);
    return openRowFile(path, { name: 'the file', tensor, scratch: folder });
  };
  const shape = [ROWS, WIDTH];
  const places = {
    name: 'positions',
    dtype: 'I32',
    shape: [ROWS],
    bytes: new Uint8Array(4 * ROWS),
  } as const;
  const safetensors = (dtype: 'F32' | 'F16' | 'BF16') => writeSafetensors([places, floatTensor('h', shape, x, dtype)]);

  it.each([
    ['npy of float32', () => npyFile(x, { shape })],
    ['npy of float64', () => npyFile(x, { shape, dtype: '<f8' })],
    ['npy of float16', () => npyFile(x, { shape, dtype: '<f2' })],
    ['npy of three dimensions', () => npyFile(x, { shape: [ROWS / 2, 2, WIDTH] })],
    ['safetensors of float32, beside places', () => safetensors('F32')],
    ['safetensors of float16', () => safetensors('F16')],
    ['safetensors of bfloat16', () => safetensors('BF16')],
    ['an Arrow file of lists', () => arrowFile(x, WIDTH)],
    ['an Arrow stream of lists', () => arrowFile(x, WIDTH, { format: 'stream' })],
    ['an Arrow stream of columns', () => arrowColumns(x, WIDTH)],
  ])('%s is read as it was written', (_what, make) => {
    const files = new RowFiles([open(make())]);
    expect([files.rows, files.width]).toEqual(shape);
    expect(files.read([{ from: 0, count: ROWS }])).toEqual(x);
    expect(
      files.read([
        { from: 77, count: 2 },
        { from: 3, count: 1 },
      ]),
    ).toEqual(Float32Array.from([...x.subarray(77 * WIDTH, 79 * WIDTH), ...x.subarray(3 * WIDTH, 4 * WIDTH)]));
  });

  // By pyarrow: `tests/golden/arrow.py`.
  const golden = (file: string) => readFileSync(join(import.meta.dirname, '../../../golden/arrow', `${file}.arrow`));
  const byFormula = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => ((i * 37) % 200) / 2 - 50);
  it('Arrow columns of which one stands in a dictionary are all read, and empty batches passed over', () => {
    const files = new RowFiles([open(golden('rows-odd'))]);
    expect([files.rows, files.width]).toEqual(shape);
    expect(files.read([{ from: 0, count: ROWS }])).toEqual(byFormula);
  });

  it.each(['rows-lz4', 'rows-zstd'])('the compressed Arrow file %s is read as it was written', (file) => {
    const bytes = golden(file);
    const files = new RowFiles([open(bytes)]);
    expect([files.rows, files.width]).toEqual(shape);
    expect(files.read([{ from: 0, count: ROWS }])).toEqual(byFormula);
    const damaged = bytes.map((byte, i) => (i > 600 ? byte ^ 0x5a : byte));
    expect(() => open(damaged)).toThrow(expect.objectContaining({ code: 'data_invalid' }));
  });

  const two = () =>
    writeSafetensors([
      floatTensor('a', shape, x),
      floatTensor(
        'b',
        shape,
        x.map((value) => -value),
      ),
    ]);
  it('of several tensors the named one is read', () => {
    expect(new RowFiles([open(two(), 'b')]).read([{ from: 0, count: 1 }])).toEqual(x.slice(0, WIDTH).map((v) => -v));
  });

  it.each([
    ['several tensors and no name', () => open(two()), /name one 'tensor'.*'a', 'b'/],
    ['a name that is not there', () => open(two(), 'c'), /no tensor 'c'.*'a', 'b'/],
    [
      'npy of integers',
      () => open(Buffer.from(Buffer.from(npyFile(x, { shape })).toString('latin1').replace('<f4', '<i4'), 'latin1')),
      /'<i4'/,
    ],
    ['npy in Fortran order', () => open(npyFile(x, { shape, fortran: true })), /C order/],
    ['npy of one dimension', () => open(npyFile(x, { shape: [ROWS * WIDTH] })), /no rows/],
    ['npy cut short', () => open(npyFile(x, { shape }).slice(0, -4)), /cut short/],
    ['Arrow cut short', () => open(arrowFile(x, WIDTH, { format: 'stream' }).slice(0, 700)), /cut short|damaged/],
    ['text', () => open(Buffer.from('not a file of numbers at all')), /neither npy nor Arrow/],
    ['nothing', () => open(new Uint8Array()), /neither npy nor Arrow/],
  ])('%s is refused by name', (_what, work, message) => {
    expect(work).toThrow(message);
    expect(work).toThrow(expect.objectContaining({ code: 'data_invalid' }));
  });

  it('several files are one array, wherever they are cut', () => {
    const part = (from: number, to: number) =>
      open(npyFile(x.slice(from * WIDTH, to * WIDTH), { shape: [to - from, WIDTH] }));
    const files = new RowFiles([part(0, 1), part(1, 70), part(70, ROWS)]);
    expect(
      files.read([
        { from: 60, count: 20 },
        { from: 0, count: 3 },
      ]),
    ).toEqual(Float32Array.from([...x.subarray(60 * WIDTH, 80 * WIDTH), ...x.subarray(0, 3 * WIDTH)]));
    const narrow = open(npyFile(x, { shape: [ROWS * 2, WIDTH / 2] }));
    expect(() => new RowFiles([part(0, 9), narrow])).toThrow(/rows of 3 numbers.*of 6/);
  });

  it.each([
    ['in a list of one size', fixedSizeList(float32(), WIDTH)],
    ['in a list', list(float32())],
  ])('a null %s is refused by its row, and is no 0', (_what, type) => {
    const rows: (number | null)[][] = Array.from({ length: ROWS }, () => new Array<number>(WIDTH).fill(1));
    rows[70]![2] = null;
    const table = tableFromColumns({ h: columnFromArray(rows, type, { maxBatchRows: 50 }) });
    expect(() => open(tableToIPC(table, { format: 'file' })!)).toThrow(/row 70 of the column 'h' holds a null/);
  });

  it('a row that is not finite is named', () => {
    const bad = x.slice();
    bad[40 * WIDTH + 2] = Number.NaN;
    const files = new RowFiles([open(npyFile(bad, { shape }))]);
    expect(() => files.read([{ from: 0, count: ROWS }])).toThrow(/the file: row 40 holds NaN at place 2/);
  });

  it('a sample keeps the order of the files and its size', () => {
    const files = new RowFiles([open(npyFile(x, { shape }))]);
    const { tokens, x: rows } = sampleRows(files, 50, SEED);
    expect(tokens).toHaveLength(50);
    expect([...tokens]).toEqual([...new Set(tokens)].sort((a, b) => a - b));
    for (const [i, row] of tokens.entries()) {
      expect(rows.subarray(i * WIDTH, (i + 1) * WIDTH)).toEqual(x.subarray(row * WIDTH, (row + 1) * WIDTH));
    }
  });

  it.each([1, 2, 3, 31, 64, 1000, 4097])('a permutation of %d meets every number once', (n) => {
    const order = permutation(n, stream(SEED, 'order'));
    const seen = Array.from({ length: n }, (_, i) => order(i));
    expect(new Set(seen).size).toBe(n);
    expect(Math.max(...seen)).toBe(n - 1);
    if (n > 30) {
      const correlation = seen.reduce((sum, at, i) => sum + (at - (n - 1) / 2) * (i - (n - 1) / 2), 0) / (n ** 3 / 12);
      expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(n));
    }
  });
});
