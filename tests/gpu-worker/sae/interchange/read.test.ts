import { describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { readSae } from '../../../../gpu-worker/sae/interchange/read.ts';
import { foldScale, saelensFolder, transpose } from '../../../../gpu-worker/sae/interchange/saelens.ts';
import { encodeActivations, reconstruct, type TrainedSae } from '../../../../gpu-worker/sae/measures/evaluate.ts';
import { saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { initialise } from '../../../../gpu-worker/sae/training/initialise.ts';
import { floatTensor, writeSafetensors } from '../../../../shared/formats/safetensors.ts';
import { stream } from '../../../../shared/math/random.ts';
import { SAE_VARIANT_NAMES } from '../../../../shared/models/sae-variant-facts.ts';
import type { SaeVariant } from '../../../../shared/models/sae-variants.ts';

const [inputs, width, k] = [6, 14, 3];
const random = stream(31, 'interchange');
const x = random.derive('x').normal32(40 * inputs);
const encoder = new Encoder({ threads: 1 });
const text = new TextDecoder();

function example(variant: SaeVariant): TrainedSae {
  const complete = saeConfiguration({ variant, inputs, width, k, encoderScale: 1 });
  const base = initialise(complete, 3, random.derive('b').normal(inputs));
  const parameters = {
    ...base,
    encoderBias: random.derive('be').normal32(width, { deviation: 0.1 }),
    threshold: ['topk', 'abstopk', 'relu'].includes(variant) ? null : new Float32Array(width).fill(0.4),
  };
  return { variant, k: variant.endsWith('topk') ? k : null, subtractBias: true, parameters };
}

const output = async (sae: TrainedSae, values = x) => reconstruct(sae, await encodeActivations(sae, values, encoder));
const close = (a: Float32Array, b: Float32Array) => a.every((value, i) => Math.abs(value - b[i]!) < 2e-6);

describe('the SAELens folder', () => {
  it.each(SAE_VARIANT_NAMES)('%s is read back with equal codes and reconstructions', async (variant) => {
    const sae = example(variant);
    const { config, weights } = saelensFolder(sae, { model_name: 'm', hook_name: 'resid_post.1', input_scale: 1 });
    const back = readSae(weights, JSON.parse(text.decode(config)));
    expect(back).toMatchObject({ variant, k: sae.k, subtractBias: true });
    expect(await output(back)).toEqual(await output(sae));
  });

  it('folds the input scaling into the weights', async () => {
    const sae = example('abstopk');
    const scale = 0.37;
    const folded = { ...sae, parameters: foldScale(sae.parameters, scale) };
    const scaled = await output(
      sae,
      x.map((value) => value * scale),
    );
    const direct = await output(folded);
    expect(
      close(
        direct,
        scaled.map((value) => value / scale),
      ),
    ).toBe(true);
  });

  it('ranks by decoder norms where the configuration says so', async () => {
    const sae = example('topk');
    const norms = random.derive('norms').uniform32(width, { low: 0.5, high: 2 });
    const p = sae.parameters;
    const decoder = p.decoder.map((value, i) => value * norms[Math.floor(i / inputs)]!);
    const back = readSae(
      writeSafetensors([
        floatTensor('W_enc', [inputs, width], transpose(p.encoder, width, inputs)),
        floatTensor('b_enc', [width], p.encoderBias),
        floatTensor('W_dec', [width, inputs], decoder),
        floatTensor('b_dec', [inputs], p.decoderBias),
      ]),
      { architecture: 'topk', k, rescale_acts_by_decoder_norm: true },
    );
    for (let i = 0; i < width; i++) {
      expect(Math.hypot(...back.parameters.decoder.subarray(i * inputs, (i + 1) * inputs))).toBeCloseTo(1, 6);
      expect(back.parameters.encoderBias[i]).toBeCloseTo(p.encoderBias[i]! * norms[i]!, 6);
    }
  });
});

describe('what it cannot take at its word', () => {
  const p = example('topk').parameters;
  const shared = [
    floatTensor('encoder.weight', [width, inputs], p.encoder),
    floatTensor('encoder.bias', [width], p.encoderBias),
  ];
  it('is refused', () => {
    const good = writeSafetensors([
      ...shared,
      floatTensor('W_dec', [width, inputs], p.decoder),
      floatTensor('b_dec', [inputs], p.decoderBias),
    ]);
    const refusal = (weights: Uint8Array, config: Record<string, unknown>) => () => readSae(weights, config);
    expect(refusal(Uint8Array.of(0x80, 2, 0x7d), {})).toThrow(/pickle.*save_file/);
    expect(refusal(Uint8Array.of(0x50, 0x4b, 3, 4), {})).toThrow(/no known layout|pickle/);
    expect(refusal(Uint8Array.of(1, 2, 3), {})).toThrow(/not a safetensors file/);
    expect(refusal(writeSafetensors(shared), { activation: 'topk', k })).toThrow(/no known layout/);
    expect(refusal(good, { activation: 'topk' })).toThrow(/needs a positive integer k/);
    expect(refusal(good, { activation: 'topk', k: 15 })).toThrow(/above the width/);
    const broken = p.encoder.slice();
    broken[3] = Number.NaN;
    const parts = [
      floatTensor('encoder.weight', [width, inputs], broken),
      shared[1]!,
      floatTensor('W_dec', [width, inputs], p.decoder),
      floatTensor('b_dec', [inputs], p.decoderBias),
    ];
    expect(refusal(writeSafetensors(parts), { activation: 'topk', k })).toThrow(/not finite, in the encoder/);
  });
});
