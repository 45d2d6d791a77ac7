/** A latent held at a value inside the graph, against the codes that the host computes of the same activations. */
import { expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { latentClamp } from '../../../../gpu-worker/sae/codes/latent-clamp.ts';
import { encodeActivations, type TrainedSae } from '../../../../gpu-worker/sae/measures/evaluate.ts';
import { stream } from '../../../../shared/math/random.ts';
import { clampLatent } from '../../../support/clamp-latent.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { gap, randomRows, TINY } from '../../../support/tiny-model.ts';

const HOOK = 'resid_post.0';
const [inputs, width] = [16, 40];
const random = (name: string, length: number) => stream(11, name).normal32(length);
const sae = (settings: Partial<TrainedSae>): TrainedSae => ({
  variant: 'topk',
  k: 5,
  subtractBias: true,
  parameters: {
    inputs,
    width,
    encoder: random('encoder', inputs * width),
    encoderBias: random('bias', width).map((x) => 0.1 * x),
    decoder: random('decoder', inputs * width),
    decoderBias: random('centre', inputs).map((x) => 0.1 * x),
    threshold: random('threshold', width).map((x) => 0.2 * Math.abs(x)),
  },
  ...settings,
});

it.each([
  ['topk', sae({})],
  ['abstopk', sae({ variant: 'abstopk' })],
  ['batch_topk', sae({ variant: 'batch_topk' })],
  ['jumprelu', sae({ variant: 'jumprelu', k: null })],
  ['relu, nothing subtracted', sae({ variant: 'relu', k: null, subtractBias: false })],
  ['layer norm', sae({ normalisation: 'layer_norm' })],
  ['constant norm', sae({ normalisation: 'constant_norm' })],
  ['tanh', sae({ code: 'tanh_relu', k: null })],
] as const)('holds a latent as the host does: %s', async (_name, autoencoder) => {
  const model = await openTiny(TINY.llama!);
  const ids = randomRows([7, 7]);
  const read = async (interventions: readonly ReturnType<typeof latentClamp>[]) =>
    (await model.forward({ ids, taps: [HOOK], interventions })).taps[HOOK]!.data;
  const plain = await read([]);
  const codes = await encodeActivations(autoencoder, plain, new Encoder({ threads: 1 }));
  // one that fires somewhere, and not everywhere
  const counts = new Map<number, number>();
  for (const [entry, latent] of codes.latents.entries()) {
    if (codes.values[entry] !== 0) {
      counts.set(latent, (counts.get(latent) ?? 0) + 1);
    }
  }
  const latent = [...counts].find(([, count]) => count > 2 && count < 14)![0];
  for (const value of [0, 1.5]) {
    const clamped = await read([latentClamp(autoencoder, HOOK, latent, value)]);
    const expected = clampLatent(autoencoder, plain, codes, latent, value);
    expect(gap(clamped, expected)).toBeLessThan(2e-5);
    expect(gap(clamped, plain)).toBeGreaterThan(1e-2);
  }
});

it('refuses a latent that is not there, and codes that are no function of pre-activations', () => {
  expect(() => latentClamp(sae({}), HOOK, width, 1)).toThrow(/latents 0 to 39/);
  expect(() => latentClamp(sae({ iterations: 3 }), HOOK, 1, 1)).toThrow(/several steps/);
  expect(() => latentClamp(sae({ code: 'groupmax' }), HOOK, 1, 1)).toThrow(/groupmax/);
});
