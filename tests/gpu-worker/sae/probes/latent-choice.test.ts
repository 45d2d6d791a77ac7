import { describe, expect, it } from 'vitest';
import { equalRows, type SparseCodes } from '../../../../gpu-worker/sae/codes/sparse-codes.ts';
import { separatingLatent } from '../../../../gpu-worker/sae/probes/latent-choice.ts';
import { stream } from '../../../../shared/math/random.ts';

const [rows, width] = [60, 5];

/** Noise in every latent; latent 3 is shifted by `shift`, latent 1 has a larger shift within much more noise. */
function codes(side: number, sign = 1): SparseCodes {
  const noise = stream(4, `side ${side}`).normal32(rows * width, { deviation: 0.3 });
  const values = noise.map((value, at) => {
    const latent = at % width;
    if (latent === 3) {
      return sign * (value + (side === 0 ? 0.5 : -0.5));
    }
    return latent === 1 ? 20 * value + (side === 0 ? 2 : -2) : value;
  });
  const latents = Int32Array.from({ length: rows * width }, (_, i) => i % width);
  return equalRows(rows, width, latents, values);
}

describe('the latent that separates two sets', () => {
  it('has the largest difference for its spread, with the sign of the positive set', () => {
    expect(separatingLatent(codes(0), codes(1), width)).toMatchObject({ latent: 3, sign: 1 });
    expect(separatingLatent(codes(1), codes(0), width)).toMatchObject({ latent: 3, sign: -1 });
  });

  it('stays the same when its sign is flipped', () => {
    const [plain, flipped] = [1, -1].map((sign) => separatingLatent(codes(0, sign), codes(1, sign), width));
    expect(flipped).toEqual({ ...plain, sign: -1 });
  });
});
