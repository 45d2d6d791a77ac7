import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { groupsBelow, readArrays, type StoredArrays, writeArrays } from '../../../gpu-worker/training/index.ts';
import { stream } from '../../../shared/math/random.ts';

const seed = Number(process.env.SEED ?? 5);
const folder = mkdtempSync(join(tmpdir(), 'sextant-arrays-'));
afterAll(() => rmSync(folder, { recursive: true }));

const random = stream(seed, 'array-files');
// Odd lengths, so that float64 values come to lie where a view could not begin; bits that arithmetic would lose.
const arrays: StoredArrays = {
  odd: { shape: [3], data: Float32Array.of(Number.NaN, -0, 1e-45) },
  sums: { shape: [2, 2], data: random.derive('sums').normal(4) },
  ...Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [
      `m.${i}`,
      { shape: [7, i + 1], data: random.derive(`${i}`).normal32(7 * (i + 1)) },
    ]),
  ),
  empty: { shape: [0], data: new Float32Array(0) },
};

describe(`arrays in files (seed ${seed})`, () => {
  it.each([Number.POSITIVE_INFINITY, 4000, 1])(
    'come back bit for bit from files of at most %s bytes',
    async (limit) => {
      const own = join(folder, `limit-${limit}`);
      const names = await writeArrays(own, arrays, limit);
      const back = await readArrays(names.map((name) => join(own, name)));
      expect(Object.keys(back)).toEqual(Object.keys(arrays));
      for (const [name, { shape, data }] of Object.entries(arrays)) {
        expect(back[name]!.shape, name).toEqual(shape);
        expect(back[name]!.data, name).toEqual(data);
      }
      if (limit === 4000) {
        for (const name of names) {
          expect(statSync(join(own, name)).size).toBeLessThanOrEqual(limit);
        }
      }
      if (limit === 4000) {
        expect(names.length).toBeGreaterThan(1);
      }
    },
  );

  it('are refused where a file was cut short', async () => {
    const own = join(folder, 'cut');
    const [name] = await writeArrays(own, arrays);
    const whole = statSync(join(own, name!)).size;
    writeFileSync(join(own, name!), new Uint8Array(whole - 1));
    await expect(readArrays([join(own, name!)])).rejects.toThrow();
  });
});

describe('groups', () => {
  it('keep the order and the limit, and let what is too large be alone', () => {
    const sizes = [3, 3, 5, 12, 1, 1, 8];
    expect(groupsBelow(sizes, (n) => n, 10)).toEqual([[3, 3], [5], [12], [1, 1, 8]]);
  });
});
