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
};

export type Case = {
  type: string;
  params: Record<string, unknown>;
  /** Checked, not fitted. */
  held?: boolean;
  /** Autoencoders that the job reads: they are trained for one step before, and their ids put in `params[field]`. */
  saes?: { field: 'sae' | 'saes'; inputs: string; widths: readonly number[] };
};

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
  params: { model: model(local), corpus, tokens, loss_sequences, allow_mismatch: true },
  saes: { field: 'saes', inputs: local, widths },
  held,
});
const encoded = (local: string, width: number, count: number, length: number, held = false): Case => ({
  type: 'sae.encode',
  params: { model: model(local), texts: texts(count, length), allow_mismatch: true },
  saes: { field: 'sae', inputs: local, widths: [width] },
  held,
});
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
  encoded('middle', 4096, 16, 200),
  encoded('wide', 4096, 8, 200),
  encoded('large', 4096, 8, 200, true),
  derived('small', 100, 80, 50),
  derived('middle', 60, 200, 20),
  derived('large', 20, 100, 16),
  derived('wide', 30, 200, 10, true),
];

export type Folders = { models: Record<string, string>; corpora: Record<string, string>; remove: () => void };

/** Writes the models, with random weights, and the text. */
export function writeInputs(): Folders {
  const parent = mkdtempSync(join(tmpdir(), 'sextant-costs-'));
  const models: Record<string, string> = {};
  for (const [name, config] of Object.entries(MODELS)) {
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
