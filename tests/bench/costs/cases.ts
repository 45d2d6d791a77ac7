/** Jobs of several sizes whose time and memory are measured: the unit costs are fitted to some and checked on the others. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteTokenizer } from '../../../gpu-worker/lm/tokenizer/byte-tokenizer.ts';
import { saveFolder } from '../../../gpu-worker/lm/weights/save.ts';
import { stream } from '../../../shared/math/random.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';

const llama = (layers: number, width: number, vocabulary: number) => ({
  model_type: 'llama',
  vocab_size: vocabulary,
  hidden_size: width,
  intermediate_size: 3 * width,
  num_hidden_layers: layers,
  num_attention_heads: Math.max(4, width / 64),
  num_key_value_heads: Math.max(4, width / 64),
  max_position_embeddings: 1024,
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
});

/** From 0.2 to 42 million parameters, as the worker's aliases. */
export const MODELS: Readonly<Record<string, ReturnType<typeof llama>>> = {
  small: llama(3, 64, 258),
  middle: llama(6, 256, 8192),
  large: llama(8, 512, 16_000),
  wide: llama(4, 768, 4096),
  // Of as many tokens as their tokenizer has, which are bytes: an estimate is made of characters and a vocabulary.
  middle_bytes: llama(6, 256, 258),
  large_bytes: llama(8, 512, 258),
  wide_bytes: llama(4, 768, 258),
};

export type Case = {
  type: string;
  /** Rows of files in place of a model: so many are extracted from one before. */
  rows?: { inputs: string; tokens: number };
  params: Record<string, unknown>;
  /** Checked, not fitted. */
  held?: boolean;
  /** Autoencoders that the job reads: they are trained for one step before, and their ids put where `field` says. */
  saes?: { field: 'sae' | 'saes' | 'sae.id'; inputs: string; widths: readonly number[] };
};

/** Ids that stand for the autoencoders of a case where none are made: no two alike, as the contracts ask. */
export const standInIds = ({ saes }: Case): string[] =>
  saes?.widths.map((_, n) => `sae_${String.fromCharCode(97 + n).repeat(52)}`) ?? [];

/** The params of a case with the ids of its autoencoders. */
export function withIds(
  { params, saes }: Pick<Case, 'params' | 'saes'>,
  ids: readonly string[],
): Record<string, unknown> {
  switch (saes?.field) {
    case 'saes':
      return { ...params, saes: ids };
    case 'sae':
      return { ...params, sae: ids[0] };
    case 'sae.id':
      return { ...params, sae: { id: ids[0] } };
    default:
      return params;
  }
}

const corpus = { local: 'text' };
const words = (count: number, seed: number): string =>
  Array.from(stream(seed, 'words').integers(count, 26), (letter) => String.fromCharCode(97 + letter).repeat(4)).join(
    ' ',
  );
const texts = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, i) => words(Math.ceil(length / 5), i).slice(0, length));
const model = (local: string) => ({ local });
const pole = (label: string, token: string, count: number, length: number) => ({
  label,
  // Unlike each other in every text.
  texts: texts(count, length).map((text) => label.repeat(8) + text),
  tokens: [token],
});

const train = (layers: number, width: number, batch: number, context: number, steps: number, held = false): Case => ({
  type: 'lm.train',
  params: { corpus, layers, width, heads: Math.max(2, width / 64), mlp_width: 3 * width, batch, context, steps },
  held,
});
const generate = (local: string, prompts: number, length: number, max_tokens: number, held = false): Case => ({
  type: 'lm.generate',
  params: { model: model(local), prompts: texts(prompts, length), max_tokens },
  held,
});
const evaluate = (local: string, tokens: number, context: number, prompts: number, held = false): Case => ({
  type: 'lm.evaluate',
  params: { model: model(local), corpus, tokens, context, prompts: texts(prompts, 60) },
  held,
});
const extract = (local: string, hooks: string[], tokens: number, context: number, held = false): Case => ({
  type: 'activations.extract',
  params: { model: model(local), hooks, corpus, tokens, context },
  held,
});
const autoencoder = (
  local: string,
  saes: { variant: string; width: number; k?: number }[],
  rest: { batch: number; steps: number } & Record<string, unknown>,
  held = false,
): Case => ({
  type: 'sae.train',
  params: { model: model(local), hook: 'resid_post.1', corpus, saes, ...rest },
  held,
});
const judged = (local: string, widths: number[], tokens: number, loss_sequences: number, held = false): Case => ({
  type: 'sae.evaluate',
  params: { model: model(local), corpus, tokens, context: 256, loss_sequences, allow_mismatch: true },
  saes: { field: 'saes', inputs: local, widths },
  held,
});
const encoded = (local: string, width: number, count: number, length: number, held = false): Case => ({
  type: 'sae.encode',
  params: { model: model(local), texts: texts(count, length), allow_mismatch: true },
  saes: { field: 'sae', inputs: local, widths: [width] },
  held,
});
/** The three jobs that take activations from files, which are extracted from `local`. */
const fromFiles = (
  type: 'sae.train' | 'sae.evaluate' | 'sae.encode',
  local: string,
  tokens: number,
  width: number,
  held = false,
): Case => {
  const rows = { inputs: local, tokens };
  if (type === 'sae.train') {
    const saes = [{ variant: 'abstopk', width, k: 32 }];
    return { type, rows, params: { saes, batch: 1024, steps: 4, evaluation_tokens: 4096 }, held };
  }
  const field = type === 'sae.evaluate' ? 'saes' : 'sae';
  return { type, rows, params: {}, saes: { field, inputs: local, widths: [width] }, held };
};
const derived = (local: string, count: number, length: number, prompts: number, held = false): Case => ({
  type: 'vectors.derive',
  params: {
    method: 'difference_in_means',
    model: model(local),
    hook: 'resid_post.1',
    positive: pole('p', 'a', count, length),
    negative: pole('n', 'b', count, length),
    prompts: texts(prompts, 40),
  },
  held,
});

const compressed = (
  local: string,
  asked: { method: string; share?: number; bits?: number },
  tokens: number,
  held_out_tokens: number,
  context: number,
  held = false,
): Case => ({
  type: 'model.compress',
  params: { model: model(local), corpus, ...asked, group: 32, tokens, held_out_tokens, context },
  held,
});
const compared = (local: string, tokens: number, context: number, held = false): Case => ({
  type: 'model.compare',
  params: { model: model(local), other: model(local), corpus, tokens, context },
  held,
});
const prunedSaes = (local: string, width: number, tokens: number, shares: number[], held = false): Case => ({
  type: 'sae.prune',
  params: { model: model(local), corpus, tokens, shares, allow_mismatch: true },
  saes: { field: 'sae', inputs: local, widths: [width] },
  held,
});
const studied = (local: string, width: number, tokens: number, copies: number, steps: number, held = false): Case => ({
  type: 'compression.study',
  params: {
    model: model(local),
    copies: Array.from({ length: copies }, (_, i) => ({ label: `copy ${i}`, model: model(local) })),
    corpus,
    tokens,
    loss_sequences: 4,
    retrain: { steps, batch: 256 },
    shares: [0.5],
    allow_mismatch: true,
    allow_unmatched: true,
  },
  saes: { field: 'sae.id', inputs: local, widths: [width] },
  held,
});
/** Beats that are near enough to some, at a rate that differs from case to case. */
const recording = (rate: number, seconds: number, leads: number, held = false): Case => ({
  type: 'ecg.denoise',
  params: {
    record: {
      rate_hz: rate,
      unit: 'mV',
      leads: Array.from({ length: leads }, (_, lead) => ({
        name: `lead ${lead}`,
        samples: Array.from({ length: rate * seconds }, (_, i) => {
          const phase = ((i / rate) % 0.8) - 0.4;
          return Number((Math.exp(-((phase / 0.02) ** 2)) + 0.1 * Math.sin(i / rate + lead)).toFixed(4));
        }),
      })),
    },
  },
  held,
});
const denoiser = (steps: number, batch: number, depth: number, patients: number, held = false): Case => ({
  type: 'ecg.train',
  params: { generator: { patients, seconds: 40, seed: 1 }, steps, batch, depth, every: steps },
  held,
});
const tuned = (
  local: string,
  methods: string[],
  steps: number,
  batch: number,
  context: number,
  held = false,
): Case => ({
  type: 'block_sparse.train',
  params: {
    task: { kind: 'lm', model: model(local), corpus, layers: ['*mlp*'], context },
    tiles: [[8, 8]],
    methods,
    lambda: [1],
    sparsity: [0.5],
    steps,
    batch,
    optimiser: 'adam',
    learning_rate: 0.001,
  },
  held,
});
const tiled = (features: number, rows: number, widths: number[], steps: number, held = false): Case => {
  const names = Array.from({ length: features }, (_, i) => `x${i}`);
  const values = stream(3, 'table').normal(features * rows);
  const columns = names.map((name, j) => [name, Array.from(values.subarray(j * rows, (j + 1) * rows))] as const);
  const label = Array.from({ length: rows }, (_, i) => Math.floor(10 * (0.5 + Math.atan(values[i] ?? 0) / Math.PI)));
  return {
    type: 'block_sparse.train',
    params: {
      model: { kind: 'mlp', widths },
      task: {
        kind: 'table',
        table: { columns: { ...Object.fromEntries(columns), label } },
        label: 'label',
        features: { columns: names },
      },
      tiles: [[4, 4]],
      methods: ['dense', 'kpd', 'rigl'],
      lambda: [1],
      sparsity: [0.5],
      steps,
    },
    held,
  };
};

/** Next to nothing but training. */
const BRIEF = { evaluation_tokens: 1024, feature_dashboards: false };

export const CASES: readonly Case[] = [
  train(3, 64, 64, 48, 8),
  train(4, 256, 16, 128, 3),
  train(4, 384, 8, 96, 3),
  train(4, 128, 16, 256, 3, true),
  generate('small', 64, 40, 32),
  generate('middle', 16, 200, 24),
  generate('large', 8, 100, 12),
  generate('wide', 16, 200, 16, true),
  evaluate('small', 8192, 48, 64),
  evaluate('middle', 4096, 256, 50),
  evaluate('large', 1024, 128, 32),
  evaluate('middle', 2048, 128, 200),
  evaluate('wide', 2048, 96, 60, true),
  extract('small', ['resid_post.1'], 60_000, 48),
  extract('middle', ['resid_post.1', 'resid_post.4'], 20_000, 128),
  extract('large', ['resid_post.3'], 6000, 96),
  extract('wide', ['resid_post.0', 'resid_post.1'], 12_000, 64, true),
  autoencoder('small', [{ variant: 'abstopk', width: 512, k: 8 }], { batch: 1024, steps: 30 }),
  autoencoder('middle', [{ variant: 'topk', width: 4096, k: 32 }], { batch: 1024, steps: 4 }),
  autoencoder('wide', [{ variant: 'abstopk', width: 16_384, k: 64 }], {
    batch: 1024,
    steps: 2,
    feature_dashboards: false,
  }),
  autoencoder('small', [{ variant: 'relu', width: 1024 }], { batch: 512, steps: 10 }),
  // Long enough for the steps themselves to count.
  autoencoder('small', [{ variant: 'abstopk', width: 1024, k: 16 }], { batch: 1024, steps: 200, ...BRIEF }),
  autoencoder('middle', [{ variant: 'topk', width: 4096, k: 32 }], { batch: 1024, steps: 20, ...BRIEF }),
  autoencoder('wide', [{ variant: 'abstopk', width: 4096, k: 64 }], { batch: 1024, steps: 2, ...BRIEF }),
  autoencoder('wide', [{ variant: 'abstopk', width: 16_384, k: 64 }], { batch: 1024, steps: 2, ...BRIEF }),
  autoencoder('wide', [{ variant: 'relu', width: 4096 }], { batch: 512, steps: 2, ...BRIEF }),
  autoencoder('small', [{ variant: 'relu', width: 1024 }], { batch: 512, steps: 150, ...BRIEF }),
  autoencoder(
    'middle',
    [
      { variant: 'jumprelu', width: 2048 },
      { variant: 'batch_topk', width: 2048, k: 32 },
    ],
    { batch: 1024, steps: 8, ...BRIEF },
  ),
  autoencoder('large', [{ variant: 'topk', width: 8192, k: 32 }], { batch: 1024, steps: 2 }, true),
  autoencoder('middle', [{ variant: 'abstopk', width: 2048, k: 32 }], { batch: 2048, steps: 12, ...BRIEF }, true),
  judged('small', [512], 8192, 32),
  judged('middle', [4096], 4096, 16),
  judged('wide', [4096], 4096, 8),
  judged('middle', [2048, 4096], 8192, 8),
  judged('large', [2048], 6000, 12, true),
  encoded('small', 512, 32, 200),
  encoded('middle_bytes', 4096, 16, 200),
  encoded('wide_bytes', 4096, 8, 200),
  encoded('wide_bytes', 8192, 4, 400),
  encoded('large_bytes', 4096, 8, 200, true),
  fromFiles('sae.train', 'small', 60_000, 1024),
  fromFiles('sae.train', 'middle', 40_000, 4096),
  fromFiles('sae.train', 'wide', 20_000, 4096),
  fromFiles('sae.train', 'large', 30_000, 2048, true),
  fromFiles('sae.evaluate', 'small', 60_000, 1024),
  fromFiles('sae.evaluate', 'middle', 20_000, 4096),
  fromFiles('sae.evaluate', 'wide', 10_000, 4096),
  fromFiles('sae.evaluate', 'large', 30_000, 2048, true),
  fromFiles('sae.encode', 'small', 60_000, 1024),
  fromFiles('sae.encode', 'middle', 20_000, 4096),
  fromFiles('sae.encode', 'wide', 10_000, 4096),
  fromFiles('sae.encode', 'large', 30_000, 2048, true),
  derived('small', 100, 80, 50),
  derived('middle', 60, 200, 20),
  derived('large', 20, 100, 16),
  derived('wide', 30, 200, 10, true),
  compressed('small', { method: 'wanda', share: 0.5 }, 16_384, 4096, 128),
  compressed('middle', { method: 'sparsegpt', share: 0.5 }, 4096, 1024, 128),
  compressed('middle', { method: 'awq', bits: 4 }, 4096, 1024, 128),
  compressed('large', { method: 'gptq', bits: 4 }, 2048, 512, 128),
  compressed('large', { method: 'magnitude', share: 0.5 }, 1024, 512, 64),
  compressed('wide', { method: 'gptq', bits: 4 }, 2048, 1024, 128),
  compressed('wide', { method: 'sparsegpt', share: 0.6 }, 4096, 512, 256, true),
  compared('small', 16_384, 128),
  compared('middle', 4096, 128),
  compared('large', 1024, 64),
  compared('wide', 2048, 128, true),
  prunedSaes('small', 1024, 16_384, [0.5]),
  prunedSaes('middle', 4096, 8192, [0.25, 0.5]),
  prunedSaes('wide', 4096, 4096, [0.5]),
  prunedSaes('large', 4096, 4096, [0.25, 0.5, 0.75], true),
  studied('small', 512, 8192, 1, 200),
  studied('middle', 2048, 4096, 2, 20),
  studied('wide', 2048, 2048, 1, 20),
  studied('large', 2048, 2048, 1, 40, true),
  recording(360, 60, 2),
  recording(250, 600, 2),
  recording(500, 300, 3),
  recording(300, 600, 1, true),
  denoiser(12, 2, 1, 5),
  denoiser(6, 8, 1, 5),
  denoiser(4, 8, 2, 10),
  denoiser(3, 32, 1, 5),
  denoiser(8, 8, 1, 8, true),
  tuned('small', ['dense', 'kpd'], 40, 16, 32),
  tuned('middle', ['dense', 'rigl'], 6, 4, 64),
  tuned('wide', ['kpd'], 3, 4, 48),
  tiled(64, 2000, [128], 300),
  tiled(256, 1000, [512], 100),
  tuned('large', ['kpd'], 3, 4, 64, true),
];

export type Folders = { models: Record<string, string>; corpora: Record<string, string>; remove: () => void };

/** Writes the models of these cases, with random weights, and the text. */
export function writeInputs(cases: readonly Case[]): Folders {
  const parent = mkdtempSync(join(tmpdir(), 'sextant-costs-'));
  const models: Record<string, string> = {};
  const asked = JSON.stringify(cases);
  for (const [name, config] of Object.entries(MODELS).filter(([name]) => asked.includes(`"${name}"`))) {
    const a = parseArchitecture(config);
    const shapes = new Map(listWeights(familyOf('llama').weights(a)).map((weight) => [weight.name, weight.shape]));
    const weightsOf = (weight: string): Float32Array => {
      const shape = shapes.get(weight) ?? [];
      const count = shape.reduce((x, y) => x * y, 1);
      const last = shape.at(-1) ?? 1;
      return shape.length === 1
        ? new Float32Array(count).fill(1)
        : stream(1, weight).normal32(count, { deviation: 1 / Math.sqrt(last) });
    };
    models[name] = join(parent, name);
    saveFolder(models[name], a, weightsOf, { tokenizer: byteTokenizer(), config });
  }
  const text = join(parent, 'text.txt');
  writeFileSync(text, Array.from({ length: 60 }, (_, i) => words(400, i)).join('\n\n'));
  return { models, corpora: { text }, remove: () => rmSync(parent, { recursive: true }) };
}
