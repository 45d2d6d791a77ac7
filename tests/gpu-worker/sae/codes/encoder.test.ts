import { afterAll, describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { decodeCodes, denseCodes } from '../../../../gpu-worker/sae/codes/sparse-codes.ts';
import { inferenceCode, VARIANTS } from '../../../../gpu-worker/sae/codes/variants.ts';
import { encodeActivations, reconstruct, type TrainedSae } from '../../../../gpu-worker/sae/measures/evaluate.ts';
import { stream } from '../../../../shared/math/random.ts';
import { SAE_VARIANT_NAMES } from '../../../../shared/models/sae-variant-facts.ts';
import type { SaeVariant } from '../../../../shared/models/sae-variants.ts';
import { clampLatent } from '../../../support/clamp-latent.ts';

const [rows, inputs, width, k] = [25, 7, 19, 4];
const random = stream(12, 'encoder');
const encoder = new Encoder({ threads: 1 });
afterAll(() => encoder.release());

const example = (variant: SaeVariant): TrainedSae => ({
  variant,
  k,
  subtractBias: true,
  parameters: {
    inputs,
    width,
    encoder: random.derive('e').normal32(width * inputs),
    encoderBias: random.derive('be').normal32(width),
    decoder: random.derive('d').normal32(width * inputs),
    decoderBias: random.derive('b').normal32(inputs),
    threshold: variant === 'relu' ? null : random.derive('t').uniform32(width, { low: 0.5, high: 2 }),
  },
});
const x = random.derive('x').normal32(rows * inputs);

describe('codes for inference', () => {
  it.each(SAE_VARIANT_NAMES)('%s are those of the float64 formula', async (variant) => {
    const sae = example(variant);
    const { encoder: W, encoderBias, decoderBias, threshold } = sae.parameters;
    const u = Float64Array.from({ length: rows * width }, (_, at) => {
      const [row, i] = [Math.floor(at / width), at % width];
      let sum = encoderBias[i]!;
      for (let j = 0; j < inputs; j++) {
        sum += W[i * inputs + j]! * (x[row * inputs + j]! - decoderBias[j]!);
      }
      return sum;
    });
    const expected = inferenceCode(VARIANTS[variant], u, width, { k, threshold: threshold ?? [] });
    const codes = await encodeActivations(sae, x, encoder);
    const found = denseCodes(codes, width);
    expect(found.filter((value) => value !== 0)).toHaveLength(expected.filter((value) => value !== 0).length);
    expected.forEach((value, i) => {
      expect(Math.abs(found[i]! - value)).toBeLessThan(1e-5);
    });
    const hat = decodeCodes(codes, sae.parameters.decoder, inputs);
    for (let at = 0; at < hat.length; at++) {
      let sum = 0;
      const [row, j] = [Math.floor(at / inputs), at % inputs];
      for (let i = 0; i < width; i++) {
        sum += expected[row * width + i]! * sae.parameters.decoder[i * inputs + j]!;
      }
      expect(Math.abs(hat[at]! - sum)).toBeLessThan(1e-4);
    }
  });
});

describe('clamping a latent', () => {
  it('moves along its row only, keeps or drops the error, everywhere or where it is active', async () => {
    const sae = example('abstopk');
    const codes = await encodeActivations(sae, x, encoder);
    const z = denseCodes(codes, width);
    const latent = codes.latents[0]!;
    const row = sae.parameters.decoder.subarray(latent * inputs, (latent + 1) * inputs);
    const hat = reconstruct(sae, codes);
    for (const keepError of [true, false]) {
      for (const where of ['everywhere', 'active'] as const) {
        const moved = clampLatent(sae, x, codes, latent, -1.5, { keepError, where });
        const from = keepError ? x : hat;
        for (let token = 0; token < rows; token++) {
          const code = z[token * width + latent]!;
          const shift = where === 'active' && code === 0 ? 0 : -1.5 - code;
          for (let j = 0; j < inputs; j++) {
            expect(moved[token * inputs + j]).toBeCloseTo(from[token * inputs + j]! + shift * row[j]!, 5);
          }
        }
      }
    }
  });
});
