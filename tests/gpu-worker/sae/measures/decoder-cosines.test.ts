import { afterAll, describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { decoderCosines, neighbours } from '../../../../gpu-worker/sae/measures/decoder-cosines.ts';
import { stream } from '../../../../shared/math/random.ts';

const seed = Number(process.env.SEED ?? 17);
const encoder = new Encoder({ threads: 1 });
afterAll(() => encoder.release());

/** All cosines, in float64. */
function naive(decoder: Float32Array, inputs: number, width: number): number[][] {
  const row = (i: number) => Array.from(decoder.subarray(i * inputs, (i + 1) * inputs));
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return Array.from({ length: width }, (_, i) =>
    Array.from({ length: width }, (_, j) => {
      const norms = Math.sqrt(dot(row(i), row(i)) * dot(row(j), row(j)));
      return norms > 0 ? dot(row(i), row(j)) / norms : 0;
    }),
  );
}

describe(`cosines between decoder rows (seed ${seed})`, () => {
  const [inputs, width] = [5, 60];
  const decoder = stream(seed, 'decoder').normal32(inputs * width);
  decoder.fill(0, 7 * inputs, 8 * inputs);
  // Row 12 opposes row 3, at another norm.
  for (let i = 0; i < inputs; i++) {
    decoder[12 * inputs + i] = -2 * decoder[3 * inputs + i]!;
  }
  const rows = { decoder, inputs, width };
  const cosines = naive(decoder, inputs, width);

  it('find the nearest others of every row, and none of a row of zeros', async () => {
    const { nearest, least } = await neighbours(rows, 4, encoder);
    for (let i = 0; i < width; i++) {
      const others = cosines[i]!.map((cosine, latent) => ({ latent, cosine }))
        .filter(({ latent }) => latent !== i && latent !== 7)
        .sort((a, b) => Math.abs(b.cosine) - Math.abs(a.cosine));
      if (i === 7) {
        expect(nearest[i]).toEqual([]);
        continue;
      }
      expect(nearest[i]!.map(({ latent }) => latent)).not.toContain(i);
      for (const [j, { latent, cosine }] of nearest[i]!.entries()) {
        expect(cosine).toBeCloseTo(cosines[i]![latent]!, 5);
        expect(Math.abs(cosine)).toBeCloseTo(Math.abs(others[j]!.cosine), 5);
      }
      expect(least[i]).toBeCloseTo(Math.min(...cosines[i]!), 5);
    }
    expect(nearest[3]![0]).toMatchObject({ latent: 12, cosine: expect.closeTo(-1, 5) });
  });

  it('count opposed rows even among many that are nearer', async () => {
    // Row 0 has nine copies, and one row that opposes all of them at a cosine of -0.98.
    const copies = Float32Array.from([...new Array(10).fill([1, 0]).flat(), -0.98, 0.2]);
    const { antipodal, largest } = await decoderCosines({ decoder: copies, inputs: 2, width: 11 }, encoder);
    expect(antipodal).toBe(1);
    expect(largest).toBe(1);
    expect((await decoderCosines({ decoder: copies, inputs: 2, width: 11 }, encoder, 0.99)).antipodal).toBe(0);
  });

  it('are told for a single row', async () => {
    const single = await decoderCosines({ decoder: Float32Array.of(1, 2), inputs: 2, width: 1 }, encoder);
    expect(single).toEqual({ antipodal: 0, meanNearest: 0, largest: 0 });
  });
});
