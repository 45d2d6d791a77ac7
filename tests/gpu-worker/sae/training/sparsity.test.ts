/** What the coefficient of a penalty is for: the larger it is, the fewer codes; and codes are as many as there are axes. */
import { afterAll, describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { measure } from '../../../../gpu-worker/sae/measures/evaluate.ts';
import { saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { SAE_VARIANT_NAMES, saeVariant } from '../../../../shared/models/sae-variant-facts.ts';
import { fit as train } from '../../../support/fit-sae.ts';
import { plantedDictionary } from '../../../support/planted-dictionary.ts';

const [inputs, width, samples] = [24, 64, 4096];
const encoder = new Encoder({ threads: 1 });
afterAll(() => encoder.release());

describe('the coefficient of a penalty', () => {
  it.each(SAE_VARIANT_NAMES.filter((name) => saeVariant(name).takes === 'sparsity'))(
    'of %s decides by its default settings how many codes there are',
    async (variant) => {
      const { signed } = saeVariant(variant);
      const planted = plantedDictionary({
        axes: 32,
        width: inputs,
        active: 3,
        signed,
        samples,
        seed: 1,
        orthonormal: false,
      });
      const scale = Math.sqrt(samples / planted.x.reduce((sum, value) => sum + value * value, 0));
      const x = planted.x.map((value) => value * scale);
      const found: number[] = [];
      for (const sparsity of [0, 0.003, 0.03, 0.3]) {
        const configuration = saeConfiguration({ variant, inputs, width, sparsity });
        const schedule = { rate: 4e-3, steps: 400, warmupSteps: 50, decayFraction: 0.2 };
        const parameters = await train(configuration, x, { schedule, batch: 128, seed: 0, threads: 1, encoder });
        expect(parameters.threshold?.every((value) => value >= 0) ?? true).toBe(true);
        const sae = { variant, k: null, subtractBias: true, parameters };
        const { measures, codes } = await measure(sae, x.subarray(0, 512 * inputs), encoder);
        if (!signed) {
          expect(codes.values.every((value) => value >= 0)).toBe(true);
        }
        found.push(measures.l0);
      }
      for (let i = 1; i < found.length; i++) {
        expect(found[i]!).toBeLessThan(found[i - 1]! - 0.05);
      }
      expect(found[0]!).toBeGreaterThan(12);
      expect(found.at(-1)!).toBeLessThan(saeVariant(variant).learnsThreshold ? 4 : 10);
    },
  );
});
