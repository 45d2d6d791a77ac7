/**
 * Folders of other libraries by those libraries' own rules, written down here in float64 from their public classes: what is
 * subtracted, which codes are kept, what codes are multiplied by. A kind that is not applied here is refused.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { latentClamp } from '../../../../gpu-worker/sae/codes/latent-clamp.ts';
import { denseCodes } from '../../../../gpu-worker/sae/codes/sparse-codes.ts';
import { readSae } from '../../../../gpu-worker/sae/interchange/read.ts';
import { saelensFolder, transpose } from '../../../../gpu-worker/sae/interchange/saelens.ts';
import { encodeActivations, reconstruct } from '../../../../gpu-worker/sae/measures/evaluate.ts';
import { compareSaeFolder } from '../../../../gpu-worker/verify/sae-folder.ts';
import { npyPrefix } from '../../../../shared/formats/npy.ts';
import { floatTensor, writeSafetensors } from '../../../../shared/formats/safetensors.ts';
import { stream } from '../../../../shared/math/random.ts';
import { clampLatent } from '../../../support/clamp-latent.ts';
import { cases, hasCases } from '../../../support/guide.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));
const [inputs, width, k, rows] = [8, 20, 4, 50];
const random = stream(seed, 'layouts');
const draw = (name: string, size: number, deviation = 1) => random.derive(name).normal32(size, { deviation });
const x = draw('x', rows * inputs).map((value, i) => value * (1 + (Math.floor(i / inputs) % 5)) + 0.7);
/** One row per latent; rows of the decoder are not of norm 1. */
const W = draw('encoder', width * inputs, 0.5);
const D = draw('decoder', width * inputs, 0.5);
const [be, b] = [draw('encoder bias', width, 0.2), draw('decoder bias', inputs, 0.5)];
const thresholds = random.derive('threshold').uniform32(width, { low: -0.2, high: 0.9 });
const factors = random.derive('factors').uniform32(width, { low: 0.5, high: 2 });
const norms = Float64Array.from({ length: width }, (_, i) => Math.hypot(...D.subarray(i * inputs, (i + 1) * inputs)));
const encoder = new Encoder({ threads: 1 });
afterAll(() => encoder.release());

type Rule = {
  /** What is encoded, and how that is undone; b is subtracted where the kind does so. */
  subtract?: boolean;
  normalise?: 'layer_norm' | 'constant_norm';
  code: (u: Float64Array) => Float64Array;
  /** Factor of each code within the decoder. */
  decode?: (i: number) => number;
};
const relu = (u: number) => Math.max(0, u);
const top = (u: Float64Array, score: (u: number) => number, value: (u: number) => number) => {
  const order = [...u.keys()].sort((i, j) => score(u[j]!) - score(u[i]!)).slice(0, k);
  const z = new Float64Array(u.length);
  for (const i of order) {
    z[i] = value(u[i]!);
  }
  return z;
};
const topk = (u: Float64Array) => top(u, (value) => value, relu);
const above = (t: (i: number) => number) => (u: Float64Array) => u.map((value, i) => (value > t(i) ? relu(value) : 0));

function expected({ subtract = true, normalise, code, decode = () => 1 }: Rule): { z: number[]; hat: number[] } {
  const [z, hat]: [number[], number[]] = [[], []];
  for (let row = 0; row < rows; row++) {
    const own = Array.from(x.subarray(row * inputs, (row + 1) * inputs));
    const mean = normalise === 'layer_norm' ? own.reduce((a, c) => a + c, 0) / inputs : 0;
    const square = own.reduce((a, c) => a + (c - mean) ** 2, 0);
    const s = normalise === 'layer_norm' ? Math.sqrt(square / (inputs - 1)) : Math.sqrt(square) / Math.sqrt(inputs);
    const seen = normalise ? own.map((c) => (c - mean) / (normalise === 'layer_norm' ? s + 1e-5 : s)) : own;
    const u = Float64Array.from({ length: width }, (_, i) =>
      seen.reduce((sum, c, j) => sum + (c - (subtract ? b[j]! : 0)) * W[i * inputs + j]!, be[i]!),
    );
    const codes = code(u);
    z.push(...codes);
    for (let j = 0; j < inputs; j++) {
      let sum: number = b[j]!;
      for (let i = 0; i < width; i++) {
        sum += codes[i]! * decode(i) * D[i * inputs + j]!;
      }
      hat.push(normalise ? sum * s + mean : sum);
    }
  }
  return { z, hat };
}

const T = (values: Float32Array) => transpose(values, width, inputs);
const tensor = floatTensor;
const saelens = [
  tensor('W_enc', [inputs, width], T(W)),
  tensor('b_enc', [width], be),
  tensor('W_dec', [width, inputs], D),
  tensor('b_dec', [inputs], b),
];
const threshold = tensor('threshold', [width], thresholds);
const linear = [tensor('encoder.weight', [width, inputs], W), tensor('encoder.bias', [width], be)];
const decoderT = tensor('decoder.weight', [inputs, width], T(D));
const bDec = tensor('b_dec', [inputs], b);
const integer = (name: string, value: number) => ({
  name,
  dtype: 'I32' as const,
  shape: [],
  bytes: new Uint8Array(Int32Array.of(value).buffer),
});
/** Of two layers of half the width each. */
const half = inputs / 2;
const crossed = [
  tensor('encoder.weight', [2, half, width], T(W)),
  linear[1]!,
  tensor(
    'decoder.weight',
    [2, width, half],
    Float32Array.from({ length: width * inputs }, (_, at) => {
      const [layer, latent] = [Math.floor(at / (width * half)), Math.floor(at / half) % width];
      return D[latent * inputs + layer * half + (at % half)]!;
    }),
  ),
  tensor('decoder.bias', [2, half], b),
];
const one = (name: string, value: number) => tensor(name, [], Float32Array.of(value));
const sparsify = [...linear, tensor('W_dec', [width, inputs], D), bDec];
const openai = [linear[0]!, tensor('latent_bias', [width], be), decoderT, tensor('pre_bias', [inputs], b)];
const statistics = [
  { name: 'stats_last_nonzero', dtype: 'I64' as const, shape: [width], bytes: new Uint8Array(8 * width) },
  tensor('latents_mean_square', [width], factors),
];
const dl = (dict_class: string, more: Record<string, unknown> = {}) => ({
  trainer: {
    trainer_class: 'T',
    dict_class,
    activation_dim: inputs,
    dict_size: width,
    lm_name: 'm',
    layer: 3,
    ...more,
  },
  buffer: { ctx_len: 128 },
});
const before6 = {
  architecture: 'standard',
  d_in: inputs,
  d_sae: width,
  activation_fn_str: 'relu',
  apply_b_dec_to_input: true,
  finetuning_scaling_factor: false,
  context_size: 128,
  model_name: 'gpt2',
  hook_name: 'blocks.3.hook_resid_pre',
  hook_layer: 3,
  prepend_bos: true,
  dataset_path: 'd',
  normalize_activations: 'none',
  activation_fn_kwargs: {},
};
const since6 = { d_in: inputs, d_sae: width, dtype: 'float32', metadata: { sae_lens_version: '6.1.0' } };

type Tensors = Parameters<typeof writeSafetensors>[0];
const RIGHT: [string, Record<string, unknown>, Tensors, Rule][] = [
  ['SAELens standard before 6', before6, saelens, { code: (u) => u.map(relu) }],
  [
    'without the bias',
    { ...before6, apply_b_dec_to_input: false },
    saelens,
    { subtract: false, code: (u) => u.map(relu) },
  ],
  ['top-k before 6', { ...before6, activation_fn_str: 'topk', activation_fn_kwargs: { k } }, saelens, { code: topk }],
  [
    'tanh-relu',
    { ...before6, activation_fn_str: 'tanh-relu' },
    saelens,
    { code: (u) => u.map((v) => Math.tanh(relu(v))) },
  ],
  [
    'a scaling factor',
    { ...before6, finetuning_scaling_factor: true },
    [...saelens, tensor('finetuning_scaling_factor', [width], factors)],
    { code: (u) => u.map(relu), decode: (i) => factors[i]! },
  ],
  [
    'jumprelu with thresholds below 0',
    { ...before6, architecture: 'jumprelu' },
    [...saelens, threshold],
    { code: above((i) => thresholds[i]!) },
  ],
  ...(['layer_norm', 'constant_norm_rescale'] as const).map((name): (typeof RIGHT)[number] => [
    name,
    { ...before6, normalize_activations: name },
    saelens,
    { normalise: name === 'layer_norm' ? name : 'constant_norm', code: (u) => u.map(relu) },
  ]),
  ['SAELens top-k since 6', { ...since6, architecture: 'topk', k }, saelens, { code: topk }],
  ...([false, true] as const).map((rescaled): (typeof RIGHT)[number] => [
    `a SAELens checkpoint of training over batches${rescaled ? ', codes by the norms of their rows' : ''}`,
    {
      ...since6,
      architecture: rescaled ? 'batchtopk' : 'matryoshka_batchtopk',
      k,
      topk_threshold_lr: 0.01,
      rescale_acts_by_decoder_norm: rescaled,
    },
    [...saelens, one('topk_threshold', 0.7)],
    {
      code: (u) => above(() => 0.7)(rescaled ? u.map((value, i) => value * norms[i]!) : u),
      ...(rescaled && { decode: (i) => 1 / norms[i]! }),
    },
  ]),
  [
    'top-k ranked by decoder norms',
    { ...since6, architecture: 'topk', k, rescale_acts_by_decoder_norm: true },
    saelens,
    { code: (u) => topk(u.map((v, i) => v * norms[i]!)), decode: (i) => 1 / norms[i]! },
  ],
  [
    'sparsify',
    { activation: 'topk', k, d_in: inputs, expansion_factor: 3, transcode: false },
    sparsify,
    { code: topk },
  ],
  ['old sparsify', { k, d_in: inputs, num_latents: width, multi_topk: false }, sparsify, { code: topk }],
  ['signed sparsify', { k, d_in: inputs, signed: true }, sparsify, { code: (u) => top(u, Math.abs, (v) => v) }],
  [
    'groupmax',
    { activation: 'groupmax', k, d_in: inputs, skip_connection: false },
    sparsify,
    {
      code: (u) =>
        u.map((v, i) => {
          const group = u.subarray(
            Math.floor((i * k) / width) * (width / k),
            (Math.floor((i * k) / width) + 1) * (width / k),
          );
          return v === Math.max(...group) ? relu(v) : 0;
        }),
    },
  ],
  [
    'AutoEncoder',
    dl('AutoEncoder', { l1_penalty: 0.1 }),
    [...linear, decoderT, tensor('bias', [inputs], b)],
    { code: (u) => u.map(relu) },
  ],
  [
    'AutoEncoderNew',
    dl('AutoEncoderNew'),
    [...linear, decoderT, tensor('decoder.bias', [inputs], b)],
    { subtract: false, code: (u) => u.map(relu) },
  ],
  [
    'AutoEncoderTopK',
    dl('AutoEncoderTopK', { k }),
    [...linear, decoderT, bDec, integer('k', k), one('threshold', 0.3)],
    { code: topk },
  ],
  [
    'BatchTopKSAE',
    dl('BatchTopKSAE', { k }),
    [...linear, decoderT, bDec, integer('k', k), one('threshold', 0.6)],
    { code: above(() => 0.6) },
  ],
  [
    'BatchTopKSAE before its threshold was measured',
    dl('BatchTopKSAE', { k }),
    [...linear, decoderT, bDec, integer('k', k), one('threshold', -1)],
    { code: (u) => u.map(relu) },
  ],
  [
    'MatryoshkaBatchTopKSAE',
    dl('MatryoshkaBatchTopKSAE', { k, group_sizes: [5, 15] }),
    [
      ...saelens,
      integer('k', k),
      one('threshold', 0.6),
      { name: 'group_sizes', dtype: 'I64', shape: [2], bytes: new Uint8Array(BigInt64Array.of(5n, 15n).buffer) },
    ],
    { code: above(() => 0.6) },
  ],
  ...(['TrainerJumpRelu', 'JumpReluTrainer'] as const).map((trainer_class): (typeof RIGHT)[number] => [
    `JumpReluAutoEncoder of a ${trainer_class} before its norms were kept at 1`,
    dl('JumpReluAutoEncoder', { trainer_class, ...(trainer_class === 'JumpReluTrainer' && { bandwidth: 0.001 }) }),
    [...saelens, threshold],
    {
      subtract: false,
      code: (u) => above((i) => thresholds[i]!)(u).map((v, i) => v * norms[i]!),
      decode: (i) => 1 / norms[i]!,
    },
  ]),
  ...[{}, { trainer_class: 'JumpReluTrainer', sparsity_warmup_steps: 2000 }].map((more): (typeof RIGHT)[number] => [
    `JumpReluAutoEncoder${'trainer_class' in more ? ' of the trainer since then' : ''}`,
    dl('JumpReluAutoEncoder', more),
    [...saelens, threshold],
    { subtract: false, code: above((i) => thresholds[i]!) },
  ]),
  [
    'CrossCoder of two layers',
    dl('CrossCoder', { num_layers: 2 }),
    crossed,
    { subtract: false, code: (u) => u.map(relu) },
  ],
  ['OpenAI top-k', { activation: 'TopK', k }, [...openai, ...statistics], { normalise: 'layer_norm', code: topk }],
  [
    'OpenAI top-k, its state',
    { activation: 'TopK', activation_state_dict: { k, postact_fn: 'Identity' }, normalize: false },
    openai,
    {
      code: (u) =>
        top(
          u,
          (v) => v,
          (v) => v,
        ),
    },
  ],
  ['OpenAI ReLU', { activation: 'ReLU' }, openai, { code: (u) => u.map(relu) }],
  ['Gemma Scope', {}, [...saelens, threshold], { subtract: false, code: above((i) => thresholds[i]!) }],
];

/** Matching pursuit in float64: `most` latents at most, until the residual is below `least` or a latent comes `once` more. */
function pursued(atoms: Float32Array, rule: { subtract: boolean; most: number; least: number; once: boolean }) {
  const [z, hat, counts]: [number[], number[], number[]] = [[], [], []];
  for (let row = 0; row < rows; row++) {
    const left = Array.from(x.subarray(row * inputs, (row + 1) * inputs), (v, j) => v - (rule.subtract ? b[j]! : 0));
    const own = new Float64Array(width);
    for (let step = 0; step < rule.most; step++) {
      const u = own.map((_, i) => left.reduce((sum, v, j) => sum + v * atoms[i * inputs + j]!, 0));
      const best = u.indexOf(Math.max(...u));
      const again = own[best]! > 0;
      own[best]! += relu(u[best]!);
      for (let j = 0; j < inputs; j++) {
        left[j]! -= relu(u[best]!) * atoms[best * inputs + j]!;
      }
      if ((rule.once && again) || (rule.least > 0 && Math.hypot(...left) < rule.least)) {
        break;
      }
    }
    counts.push(own.filter((v) => v > 0).length);
    z.push(...own);
    for (let j = 0; j < inputs; j++) {
      hat.push(own.reduce((sum, v, i) => sum + v * atoms[i * inputs + j]!, rule.subtract ? b[j]! : 0));
    }
  }
  return { z, hat, counts };
}

const worst = (found: ArrayLike<number>, wanted: readonly number[]) =>
  found.length === wanted.length ? Math.max(...wanted.map((value, i) => Math.abs(value - found[i]!))) : Infinity;

describe(`folders of other libraries (seed ${seed})`, () => {
  it.each(RIGHT)('%s is applied by its own rules', async (_, config, tensors, rule) => {
    const sae = readSae(writeSafetensors(tensors), config);
    const codes = await encodeActivations(sae, x, encoder);
    const { z, hat } = expected(rule);
    expect(worst(denseCodes(codes, width), z)).toBeLessThan(2e-5);
    expect(worst(reconstruct(sae, codes), hat)).toBeLessThan(5e-5);

    // And it stays so when it is written as ours and read again.
    const { config: own, weights } = saelensFolder(sae, { model_name: null, hook_name: null, input_scale: 1 });
    const back = readSae(weights, JSON.parse(new TextDecoder().decode(own)) as Record<string, unknown>);
    expect(worst(reconstruct(back, await encodeActivations(back, x, encoder)), hat)).toBeLessThan(5e-5);
  });

  it.each([
    ['with its defaults', {}, { subtract: true, most: inputs, least: 0.01, once: true }],
    [
      'with more steps than latents',
      { residual_threshold: 0, max_iterations: 40, stop_on_duplicate_support: false },
      { subtract: true, most: 40, least: 0, once: false },
    ],
    [
      'to a wide threshold, without its bias',
      { residual_threshold: 2, apply_b_dec_to_input: false },
      { subtract: false, most: inputs, least: 2, once: true },
    ],
  ])('SAELens matching pursuit %s takes one latent at a time', async (_, more, rule) => {
    const unit = D.map((value, at) => value / norms[Math.floor(at / inputs)]!);
    const tensors = [tensor('W_dec', [width, inputs], unit), saelens[3]!];
    const config = { ...since6, architecture: 'matching_pursuit', normalize_activations: 'none', ...more };
    const sae = readSae(writeSafetensors(tensors), config);
    const codes = await encodeActivations(sae, x, encoder);
    const { z, hat, counts } = pursued(unit, rule);
    expect(new Set(counts).size).toBeGreaterThan(1);
    expect(worst(denseCodes(codes, width), z)).toBeLessThan(5e-5);
    expect(worst(reconstruct(sae, codes), hat)).toBeLessThan(5e-5);

    const { config: own, weights } = saelensFolder(sae, { model_name: null, hook_name: null, input_scale: 1 });
    const back = readSae(weights, JSON.parse(new TextDecoder().decode(own)) as Record<string, unknown>);
    expect(worst(reconstruct(back, await encodeActivations(back, x, encoder)), hat)).toBeLessThan(5e-5);

    expect(() => latentClamp(sae, 'blocks.0.hook_resid_post', 0, 1)).toThrow(/no latents to clamp/);
    expect(() => readSae(writeSafetensors([...tensors, saelens[0]!]), config)).toThrow(/transpose of W_dec/);
    expect(() => readSae(writeSafetensors(tensors), { ...config, max_iterations: 0 })).toThrow(/'max_iterations'/);
  });

  it('an IdentityDict gives the activations themselves', async () => {
    const sae = readSae(writeSafetensors([]), dl('IdentityDict'));
    const codes = await encodeActivations(sae, x, encoder);
    expect(worst(denseCodes(codes, inputs), [...x])).toBe(0);
    expect(worst(reconstruct(sae, codes), [...x])).toBe(0);
  });

  it('clamps a latent in the units of the activations where those are normalised', async () => {
    const sae = readSae(writeSafetensors(openai), { activation: 'TopK', k });
    const codes = await encodeActivations(sae, x, encoder);
    const z = denseCodes(codes, width);
    const [clamped, plain] = [clampLatent(sae, x, codes, 2, 3, { keepError: false }), reconstruct(sae, codes)];
    for (let i = 0; i < x.length; i++) {
      const row = Math.floor(i / inputs);
      const step = (3 - z[row * width + 2]!) * codes.frame!.scale[row]! * D[2 * inputs + (i % inputs)]!;
      expect(clamped[i]! - plain[i]!).toBeCloseTo(step, 3);
    }
  });

  const REFUSED: [string, Record<string, unknown>, Tensors, RegExp][] = [
    ['gated', dl('GatedAutoEncoder'), [...linear, decoderT, bDec], /GatedAutoEncoder/],
    ['a crosscoder of matrices', dl('CrossCoder'), [...linear, decoderT, bDec], /three dimensions/],
    ['a crosscoder of other layers', dl('CrossCoder', { num_layers: 3 }), crossed, /2 layers and has num_layers = 3/],
    ['an identity of no width', { trainer: { dict_class: 'IdentityDict' } }, [], /activation_dim/],
    ['gated SAELens', { ...since6, architecture: 'gated' }, saelens, /'gated'/],
    ['transcoder', { ...since6, architecture: 'transcoder' }, saelens, /'transcoder'/],
    ['skip', { k, d_in: inputs, skip_connection: true }, sparsify, /skip_connection/],
    [
      'skip by its tensor',
      { k, d_in: inputs },
      [...sparsify, tensor('W_skip', [inputs, inputs], D.slice(0, 64))],
      /W_skip/,
    ],
    ['other axes', { ...before6, d_in: width, d_sae: inputs }, saelens, /d_in = 20, the tensors have 8/],
    ['another width', { k, d_in: inputs, num_latents: 99 }, sparsify, /num_latents = 99, the tensors have 20/],
    ['transcode', { k, d_in: inputs, transcode: true }, sparsify, /transcode/],
    ['data-bound', { ...before6, normalize_activations: 'expected_average_only_in' }, saelens, /expected_average/],
    ['unknown field', { ...since6, architecture: 'topk', k, temperature: 2 }, saelens, /temperature/],
    [
      'unknown tensor',
      { ...since6, architecture: 'topk', k },
      [...saelens, tensor('W_extra', [1], b.slice(0, 1))],
      /W_extra/,
    ],
    ['unasked factor', before6, [...saelens, tensor('scaling_factor', [width], factors)], /scaling_factor/],
    ['two ks', dl('AutoEncoderTopK', { k: 9 }), [...linear, decoderT, bDec, integer('k', k)], /k = 9/],
    [
      'two shapes',
      { k, d_in: inputs },
      [...sparsify.slice(0, 3), tensor('b_dec', [2], b.slice(0, 2))],
      /b_dec must have/,
    ],
  ];
  it.each(REFUSED)('%s is refused by name', (_, config, tensors, message) => {
    expect(() => readSae(writeSafetensors(tensors), config)).toThrow(message);
  });

  it.each([0, 8])('reads params.npz, packed by method %i', async (method) => {
    const arrays = {
      W_enc: [[inputs, width], T(W)],
      W_dec: [[width, inputs], D],
      b_enc: [[width], be],
      b_dec: [[inputs], b],
      threshold: [[width], thresholds],
    } as const;
    const entries = Object.entries(arrays).map(([name, [shape, values]]) => {
      const body = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      return { name: `${name}.npy`, bytes: Buffer.concat([npyPrefix('float32', shape), body]) };
    });
    const sae = readSae(zip(entries, method), {});
    const { hat } = expected({ subtract: false, code: above((i) => thresholds[i]!) });
    expect(worst(reconstruct(sae, await encodeActivations(sae, x, encoder)), hat)).toBeLessThan(5e-5);
    // The same matrix with its axes the other way round, in doubles.
    const W64 = Float64Array.from(W);
    const header = Buffer.from(npyPrefix('float32', [inputs, width])).toString('latin1');
    const other = Buffer.from(header.replace('<f4', '<f8').replace('False,', 'True, '), 'latin1');
    const turned = { name: 'W_enc.npy', bytes: Buffer.concat([other, Buffer.from(W64.buffer)]) };
    const again = readSae(zip([turned, ...entries.slice(1)], method), {});
    expect(again.parameters.encoder).toEqual(sae.parameters.encoder);
    expect(() => readSae(zip([{ name: 'data.pkl', bytes: Buffer.of(1) }], method), {})).toThrow(/pickle/);
  });

  it('reports a folder as the command does', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'sae-folder-'));
    onTestFinished(() => rmSync(parent, { recursive: true }));
    const { z, hat } = expected({ code: topk });
    writeFileSync(join(parent, 'x.safetensors'), writeSafetensors([tensor('x', [rows, inputs], x)]));
    const folder = mkdtempSync(join(parent, 'a-'));
    writeFileSync(join(folder, 'cfg.json'), JSON.stringify({ k, d_in: inputs }));
    writeFileSync(join(folder, 'w.safetensors'), writeSafetensors(sparsify));
    const wanted = [
      tensor('z', [rows, width], Float32Array.from(z)),
      tensor('xhat', [rows, inputs], Float32Array.from(hat)),
    ];
    writeFileSync(join(folder, 'expected.safetensors'), writeSafetensors(wanted));
    const report = (await compareSaeFolder(folder)) as { variant: string; z: number; xhat: number };
    expect(report.variant).toBe('topk');
    expect(Math.max(report.z, report.xhat)).toBeLessThan(5e-5);
    writeFileSync(join(folder, 'cfg.json'), JSON.stringify({ k, d_in: inputs, transcode: true }));
    expect(await compareSaeFolder(folder)).toEqual({ refused: 'model_unsupported' });
  });
});

describe.skipIf(!hasCases)('the cases that failed when tried from outside', () => {
  it.each(['dl-topk', 'sparsify-old-noactivation', 'openai-topk-k'])('%s is right', async (name) => {
    const report = (await compareSaeFolder(cases('sae', name))) as { z: number; xhat: number };
    expect(Math.max(report.z, report.xhat)).toBeLessThan(1e-5);
  });
});

/** A zip archive, as NumPy writes one. */
function zip(files: readonly { name: string; bytes: Buffer }[], method: number): Uint8Array {
  const [bodies, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const { name, bytes } of files) {
    const packed = method === 8 ? deflateRawSync(bytes) : bytes;
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(bytes.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed]);
    const after = Buffer.alloc(14);
    after.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.of(20, 0), fields, after, Buffer.from(name)]));
    bodies.push(local);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...bodies, ...directory, end]));
}
