/** Checks 1 to 6 of the spec of arXiv:2507.15977, on layers with correlated inputs of log-normal scale. */
import { afterAll, describe, expect, it } from 'vitest';
import { roundToNearest } from '../../../../gpu-worker/compression/methods/grids.ts';
import { lowest, masked, scores, selected } from '../../../../gpu-worker/compression/methods/masks.ts';
import { sparseSweep } from '../../../../gpu-worker/compression/methods/sweep.ts';
import { Gram, outputEnergy } from '../../../../gpu-worker/compression/statistics/gram.ts';
import { hessianOf } from '../../../../gpu-worker/compression/statistics/hessian.ts';
import { Products } from '../../../../gpu-worker/compression/statistics/products.ts';
import { stream } from '../../../../shared/math/random.ts';

const [OUT, INPUTS, TOKENS] = [64, 128, 2000];
const products = new Products({ threads: 1 });
afterAll(() => products.release());

/** Inputs mixed by a random matrix, each scaled by exp(normal). */
function layer(seed: number) {
  const normal = (name: string, count: number) => stream(seed, name).normal(count);
  const mix = normal('mix', INPUTS * INPUTS);
  const scale = normal('scale', INPUTS).map(Math.exp);
  const rows = (name: string) => {
    const z = normal(name, TOKENS * INPUTS);
    const x = new Float32Array(TOKENS * INPUTS);
    for (let t = 0; t < TOKENS; t++) {
      for (let j = 0; j < INPUTS; j++) {
        let sum = z[t * INPUTS + j]!;
        for (let k = 0; k < INPUTS; k++) {
          sum += (0.5 / Math.sqrt(INPUTS)) * 2 * z[t * INPUTS + k]! * mix[k * INPUTS + j]!;
        }
        x[t * INPUTS + j] = sum * scale[j]!;
      }
    }
    return x;
  };
  return {
    w: Float32Array.from(normal('w', OUT * INPUTS)),
    calibration: rows('calibration'),
    heldOut: rows('held out'),
  };
}

async function gramOf(x: Float32Array): Promise<Gram> {
  const gram = new Gram(INPUTS);
  await gram.add(products, x);
  return gram.finish();
}

const zerosOf = (w: Float32Array) => w.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);

describe('pruning', () => {
  it('orders SparseGPT before Wanda before magnitude in every seed, and worse than magnitude with swapped axes', async () => {
    for (const seed of [0, 1, 2, 3, 4]) {
      const { w, calibration, heldOut } = layer(seed);
      const [gram, held] = [await gramOf(calibration), await gramOf(heldOut)];
      const energy = await outputEnergy(products, held, w);
      const errorOf = async (changed: Float32Array) =>
        (await outputEnergy(
          products,
          held,
          changed.map((value, i) => value - w[i]!),
        )) / energy;
      const wanda = await errorOf(masked(w, lowest(scores(w, INPUTS, gram.norms()), INPUTS, 0.5, 'row')));
      const magnitude = await errorOf(masked(w, lowest(scores(w, INPUTS, null), INPUTS, 0.5, 'row')));
      const sparse = await errorOf(await sparseSweep(products, w, await hessianOf(products, gram), { share: 0.5 }));
      expect([seed, sparse < wanda, wanda < magnitude]).toEqual([seed, true, true]);
    }
  });

  it('zeroes exactly its share of every row, whatever the units of norms and rows', async () => {
    const { w, calibration } = layer(1);
    const norms = (await gramOf(calibration)).norms();
    const maskOf = (values: Float32Array, by: Float64Array) => lowest(scores(values, INPUTS, by), INPUTS, 0.3, 'row');
    const mask = maskOf(w, norms);
    for (let row = 0; row < OUT; row++) {
      expect(mask.subarray(row * INPUTS, (row + 1) * INPUTS).reduce((a, b) => a + b, 0)).toBe(Math.floor(0.3 * INPUTS));
    }
    expect(
      maskOf(
        w,
        norms.map((norm) => 7 * norm),
      ),
    ).toEqual(mask);
    expect(
      maskOf(
        w.map((value, i) => value * (1 + Math.floor(i / INPUTS))),
        norms,
      ),
    ).toEqual(mask);
    const loud = maskOf(
      w,
      norms.map((norm, j) => (j === 5 ? 1e4 * norm : norm)),
    );
    for (let row = 0; row < OUT; row++) {
      expect(loud[row * INPUTS + 5]).toBe(0);
    }
  });

  it('changes nothing a second time, even with other norms', async () => {
    const { w, calibration, heldOut } = layer(2);
    const [first, second] = [(await gramOf(calibration)).norms(), (await gramOf(heldOut)).norms()];
    const once = masked(w, lowest(scores(w, INPUTS, first), INPUTS, 0.5, 'row'));
    expect(masked(once, lowest(scores(once, INPUTS, second), INPUTS, 0.5, 'row'))).toEqual(once);
  });

  it('keeps n of every m', () => {
    const { w } = layer(3);
    const pruned = masked(w, lowest(scores(w, INPUTS, null), INPUTS, 0, { n: 2, m: 4 }));
    for (let at = 0; at < w.length; at += 4) {
      expect(zerosOf(pruned.slice(at, at + 4))).toBe(2);
    }
  });
});

describe('the sums over inputs', () => {
  it('give the mean squared change of the outputs (identity 4)', async () => {
    const { w, calibration } = layer(4);
    const gram = await gramOf(calibration);
    const { values } = roundToNearest(w, INPUTS, { kind: 'symmetric', bits: 3, group: 32 });
    const difference = values.map((value, i) => value - w[i]!);
    let direct = 0;
    for (let t = 0; t < TOKENS; t++) {
      for (let row = 0; row < OUT; row++) {
        let sum = 0;
        for (let j = 0; j < INPUTS; j++) {
          sum += difference[row * INPUTS + j]! * calibration[t * INPUTS + j]!;
        }
        direct += sum * sum;
      }
    }
    expect(Math.abs((await outputEnergy(products, gram, difference)) / direct - 1)).toBeLessThan(1e-6);
  });

  it('do not depend on how the rows were cut', async () => {
    const { calibration } = layer(5);
    const whole = await gramOf(calibration);
    const parts = new Gram(INPUTS);
    for (let from = 0; from < calibration.length; from += 700 * INPUTS) {
      await parts.add(products, calibration.subarray(from, from + 700 * INPUTS));
    }
    const gaps = parts.finish().sums.map((sum, i) => Math.abs(sum - whole.sums[i]!));
    expect(Math.max(...gaps) / Math.max(...whole.sums)).toBeLessThan(1e-6);
  });
});

it('selection finds the value that sorting puts at a rank', () => {
  for (let seed = 0; seed < 50; seed++) {
    const values = Float64Array.from(stream(seed, 'select').integers(37, 12), Number);
    for (const rank of [0, 5, 18, 36]) {
      expect(selected(values.slice(), rank)).toBe(values.slice().sort()[rank]);
    }
  }
});
