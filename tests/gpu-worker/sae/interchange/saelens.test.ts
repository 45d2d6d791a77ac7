/**
 * The exported folder by SAELens' own rules, written down from its loader (`handle_config_defaulting`, strict
 * `load_state_dict`) and its inference classes (`StandardSAE`, `TopKSAE`, `JumpReLUSAE`), version 6.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { VARIANTS } from '../../../../gpu-worker/sae/codes/variants.ts';
import { readSae } from '../../../../gpu-worker/sae/interchange/read.ts';
import { nextAbove, nextBelow, saelensFolder } from '../../../../gpu-worker/sae/interchange/saelens.ts';
import { encodeActivations, reconstruct, type TrainedSae } from '../../../../gpu-worker/sae/measures/evaluate.ts';
import { saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { initialise } from '../../../../gpu-worker/sae/training/initialise.ts';
import { readSafetensors } from '../../../../shared/formats/safetensors.ts';
import { stream } from '../../../../shared/math/random.ts';
import { SAE_VARIANT_NAMES } from '../../../../shared/models/sae-variant-facts.ts';
import type { SaeVariant } from '../../../../shared/models/sae-variants.ts';

const seed = Number(process.env.SEED ?? 31);
const [inputs, width, k, rows] = [6, 14, 3, 40];
const random = stream(seed, 'saelens');
/** Multiples of 1/16: their products and sums are exact in float32, so that a tie is a tie in any order of adding. */
const coarse = (values: Float32Array) => values.map((value) => Math.round(16 * value) / 16);
const x = coarse(random.derive('x').normal32(rows * inputs));
const encoder = new Encoder({ threads: 1 });
afterAll(() => encoder.release());

type Config = Record<string, unknown> & { architecture: string; metadata: Record<string, unknown> };
type Weights = Record<string, Float32Array>;
type Opened = { config: Config; weights: Weights };

/** Tensors of an architecture; with any other set `load_state_dict` raises. */
const TENSORS: Record<string, string[]> = {
  standard: ['W_dec', 'W_enc', 'b_dec', 'b_enc'],
  topk: ['W_dec', 'W_enc', 'b_dec', 'b_enc'],
  jumprelu: ['W_dec', 'W_enc', 'b_dec', 'b_enc', 'threshold'],
};

/** What is in the folder. */
function files(sae: TrainedSae): Opened {
  const folder = saelensFolder(sae, { model_name: 'm', hook_name: 'resid_post.1', input_scale: 1 });
  const config = JSON.parse(new TextDecoder().decode(folder.config)) as Config;
  const file = readSafetensors(folder.weights);
  const [d, P] = [config.d_in as number, config.d_sae as number];
  expect(file.shape('W_enc')).toEqual([d, P]);
  expect(file.shape('W_dec')).toEqual([P, d]);
  const weights = Object.fromEntries([...file.header.tensors.keys()].map((name) => [name, file.float32(name)]));
  return { config, weights };
}

/** What SAELens keeps of it, or what it raises. */
function opened({ config, weights }: Opened): Opened {
  const { architecture } = config;
  const tensors = TENSORS[architecture];
  if (!tensors) {
    throw new Error(`SAE class for architecture ${architecture} not found.`);
  }
  expect(Object.keys(weights).sort()).toEqual(tensors);
  expect(config.normalize_activations).toBe('none');
  // Without a version the config is of a form in which model and hook stood beside the sizes.
  const version = config.sae_lens_version ?? config.metadata.sae_lens_version;
  const metadata = version ? config.metadata : { hook_name: config.hook_name, model_name: config.model_name };
  return { config: { ...config, metadata }, weights };
}

function forward({ config, weights }: Opened): Float32Array {
  const { W_enc, b_enc, W_dec, b_dec, threshold } = weights as { [name in string]: Float32Array };
  const P = b_enc!.length;
  const out = new Float32Array(rows * inputs);
  for (let row = 0; row < rows; row++) {
    const pre = Float32Array.from(b_enc!, (bias, i) => {
      let sum = bias;
      for (let j = 0; j < inputs; j++) {
        const input = x[row * inputs + j]! - (config.apply_b_dec_to_input ? b_dec![j]! : 0);
        sum += input * W_enc![j * P + i]!;
      }
      return sum;
    });
    const order = [...pre.keys()].sort((a, b) => pre[b]! - pre[a]!);
    const kept =
      config.architecture === 'topk'
        ? order.slice(0, config.k as number)
        : order.filter((i) => pre[i]! > Math.max(0, threshold?.[i] ?? 0));
    for (let j = 0; j < inputs; j++) {
      out[row * inputs + j] = kept.reduce((sum, i) => sum + Math.max(0, pre[i]!) * W_dec![i * inputs + j]!, b_dec![j]!);
    }
  }
  return out;
}

/** As README.md tells: a signed code is a non-negative one over each latent and its opposite. */
function unsigned({ config, weights }: Opened): Opened {
  const { W_enc, b_enc, W_dec, b_dec, threshold } = weights as { [name in string]: Float32Array };
  const both = (values: Float32Array) => Float32Array.from([...values, ...values.map((value) => -value)]);
  const rowsOf = (values: Float32Array) =>
    Array.from({ length: inputs }, (_, j) => both(values.subarray(j * width, (j + 1) * width)));
  return {
    config: { ...config, architecture: config.architecture === 'abstopk' ? 'topk' : 'jumprelu', d_sae: 2 * width },
    weights: {
      W_enc: Float32Array.from(rowsOf(W_enc!).flatMap((row) => [...row])),
      b_enc: both(b_enc!),
      W_dec: both(W_dec!),
      b_dec: b_dec!,
      ...(threshold && { threshold: Float32Array.from([...threshold, ...threshold]) }),
    },
  };
}

async function example(variant: SaeVariant, more: Partial<TrainedSae> = {}): Promise<TrainedSae> {
  const complete = saeConfiguration({ variant, inputs, width, k, encoderScale: 1 });
  const base = initialise(complete, seed, random.derive('b').normal(inputs));
  const sae: TrainedSae = {
    variant,
    k: VARIANTS[variant].selection === 'threshold' ? null : k,
    subtractBias: false,
    parameters: {
      ...base,
      encoder: coarse(base.encoder),
      encoderBias: coarse(random.derive('be').normal32(width, { deviation: 0.1 })),
      decoderBias: coarse(base.decoderBias),
      threshold: null,
    },
    ...more,
  };
  if (variant === 'relu' || VARIANTS[variant].selection === 'token') {
    return sae;
  }
  // One code is exactly at the threshold, as the smallest that a batch kept is.
  const { encoder: matrix, encoderBias } = sae.parameters;
  const u = await encoder.preActivations({ x, rows, inputs, encoder: matrix, bias: encoderBias });
  const cut = u
    .filter((value) => value > 0)
    .sort()
    .at(-100)!;
  return { ...sae, parameters: { ...sae.parameters, threshold: new Float32Array(width).fill(cut) } };
}

const output = async (sae: TrainedSae) => reconstruct(sae, await encodeActivations(sae, x, encoder));
const difference = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe(`the exported folder in SAELens (seed ${seed})`, () => {
  it.each(SAE_VARIANT_NAMES)(
    '%s gives our reconstruction, or is refused where its codes are signed',
    async (variant) => {
      const sae = await example(variant);
      const folder = files(sae);
      if (VARIANTS[variant].signed) {
        expect(() => opened(folder)).toThrow(/architecture .* not found/);
        expect(difference(forward(opened(unsigned(folder))), await output(sae))).toBeLessThan(3e-6);
      } else {
        expect(difference(forward(opened(folder)), await output(sae))).toBeLessThan(3e-6);
      }
    },
  );

  it('subtracts the decoder bias where we do', async () => {
    const sae = await example('topk', { subtractBias: true });
    expect(difference(forward(opened(files(sae))), await output(sae))).toBeLessThan(3e-6);
  });

  it('keeps model and hook', async () => {
    const { config } = opened(files(await example('topk')));
    expect(config.metadata).toMatchObject({ model_name: 'm', hook_name: 'resid_post.1' });
  });

  it('is refused where several encoder steps would be taken for one', async () => {
    for (const variant of SAE_VARIANT_NAMES) {
      const sae = await example(variant, { iterations: 3, iterationStep: 0.5, subtractBias: true });
      expect(() => opened(files(sae))).toThrow(/architecture unrolled_.* not found/);
    }
  });

  it('is read back with the thresholds that were written', async () => {
    for (const variant of ['jumprelu', 'batch_topk', 'batch_abstopk', 'two_sided_jumprelu'] as const) {
      const sae = await example(variant);
      const { config, weights } = saelensFolder(sae, { model_name: 'm', hook_name: 'h', input_scale: 1 });
      const back = readSae(weights, JSON.parse(new TextDecoder().decode(config)));
      expect(back.parameters.threshold, variant).toEqual(sae.parameters.threshold);
    }
  });
});

describe('thresholds that are exceeded and those that are reached', () => {
  it.each([1e-45, 1e-10, 0.4, 1, 3.4e38])('%s', (threshold) => {
    const t = Math.fround(threshold);
    const below = Math.fround(nextBelow(t));
    expect(below).toBeLessThan(t);
    // Nothing lies between the two: their mean is one of them.
    expect([below, t]).toContain(Math.fround((below + t) / 2));
    if (below > 0) {
      expect(nextAbove(below)).toBe(t);
    }
  });

  it('leave 0 as it is, since codes of 0 are none', () => {
    expect([nextBelow(0), nextAbove(0)]).toEqual([0, 0]);
  });
});
