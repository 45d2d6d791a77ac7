/** Small jobs of every type that runs a language model, on the model in which refusal is planted. */
import { plantedQuestions } from './planted-refusal.ts';

const SIZES = { train: 32, validation: 16, test: 16 };
const words = (seed: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `f${(seed * 5 + i * 3) % 16}`).join(' ');
const texts = Array.from({ length: 60 }, (_, i) => words(i, 12));
const corpus = { texts };
const CONTEXT = { context: 8 };
const pole = (label: string, seed: number) => ({ label, texts: [words(seed, 5), words(seed + 1, 6)], tokens: [label] });
const poles = { positive: pole('f1', 1), negative: pole('f2', 2), prompts: [words(3, 4)] };
const pairs = Array.from({ length: 24 }, (_, i) => ({
  clean: words(i, 6),
  corrupted: words(i + 1, 6),
  answer: ['f1'],
  other: ['f2'],
  template: 't',
}));
const refusal = {
  harmful: { texts: plantedQuestions('harmful', SIZES) },
  harmless: { texts: plantedQuestions('harmless', SIZES) },
  refusal_tokens: ['SORRY'],
  phrases: ['sorry'],
  max_tokens: 1,
};
const compressed = { corpus, ...CONTEXT, tokens: 128, held_out_tokens: 16 };

type Params = Record<string, unknown>;

/**
 * Of each type that runs a language model the params of small jobs that run `model` in the ways that it runs models.
 * @param sae an autoencoder at resid_post.1; the sound model's alias is `sound`
 */
export const languageJobs = (sae: string): Readonly<Record<string, (model: { local: string }) => Params[]>> => ({
  'activations.extract': (model) => [{ model, hooks: ['resid_post.1'], corpus, tokens: 100 }],
  'activations.read': (model) => [
    { model, prompts: [texts[0]], hooks: ['resid_post.1'] },
    { model, prompts: [texts[0]], logit_lens: {} },
    { model, prompts: [texts[0]], sae, allow_mismatch: true },
  ],
  'block_sparse.train': (model) => [
    {
      task: { kind: 'lm', model, corpus, layers: ['*mlp*'], ...CONTEXT },
      tiles: [[4, 4]],
      methods: ['dense'],
      steps: 2,
      batch: 2,
    },
  ],
  'circuits.find': (model) =>
    [{ kind: 'eap_ig', steps: 2 }, { kind: 'direct' }, { kind: 'acdc', threshold: 0.1 }].map((method) => ({
      model,
      task: { pairs },
      method,
    })),
  'circuits.study': (model) => [
    { model, task: { pairs }, clean_steps: [1], poison_steps: [1], retrain_steps: [1], batch: 4 },
  ],
  'compression.study': (model) =>
    [
      { model, copies: [{ label: 'copy', model: { local: 'sound' } }] },
      { model: { local: 'sound' }, copies: [{ label: 'copy', model }] },
    ].map((own) => ({
      ...own,
      sae: { id: sae },
      corpus,
      ...CONTEXT,
      tokens: 256,
      retrain: null,
      allow_mismatch: true,
    })),
  'lm.evaluate': (model) => [
    { model, corpus },
    { model, prompts: [texts[0]] },
    { model: { local: 'sound' }, corpus, reference: model },
  ],
  'lm.generate': (model) => [{ model, prompts: [texts[0]], max_tokens: 3 }],
  'lm.train': (model) => [
    { from: model, corpus, steps: 2, batch: 2, ...CONTEXT },
    { from: model, corpus: { sampled: {} }, steps: 2, batch: 2, ...CONTEXT },
  ],
  'model.compare': (model) => [
    { model, other: { local: 'sound' }, corpus },
    { model: { local: 'sound' }, other: model, corpus },
  ],
  'model.compress': (model) => [
    { model, method: 'wanda', share: 0.5, ...compressed },
    { model, method: 'sparsegpt', share: 0.5, ...compressed },
    { model, method: 'gptq', bits: 4, group: 16, ...compressed },
    { model, method: 'awq', bits: 4, group: 16, ...compressed },
    { model, method: 'magnitude', share: 0.5, ...compressed },
    { model, method: 'rtn', bits: 4, group: 16, ...compressed },
  ],
  'reflection.study': (model) => [
    {
      model,
      problems: {
        texts: Array.from({ length: 40 }, (_, i) => ({ text: `${words(i, 4)} ${words(i + 7, 3)}`, answer: '1' })),
      },
      triggers: ['f1', 'f2'],
      max_tokens: 4,
    },
  ],
  'refusal.repair': (model) => [
    { ...refusal, model, copy: { local: 'sound' } },
    { ...refusal, model: { local: 'sound' }, copy: model },
  ],
  'refusal.study': (model) => [
    { ...refusal, model },
    { ...refusal, model: { local: 'sound' }, copies: [{ label: 'copy', model }] },
  ],
  'sae.encode': (model) => [{ model, sae, texts: texts.slice(0, 2), allow_mismatch: true }],
  'sae.evaluate': (model) => [{ model, saes: [sae], corpus, tokens: 256, ...CONTEXT, allow_mismatch: true }],
  'sae.prune': (model) => [{ model, sae, corpus, shares: [0.5], tokens: 256, ...CONTEXT, allow_mismatch: true }],
  'sae.train': (model) => [
    {
      model,
      hook: 'resid_post.1',
      corpus,
      saes: [{ variant: 'topk', width: 64, k: 4 }],
      steps: 2,
      batch: 32,
      ...CONTEXT,
    },
  ],
  'vectors.derive': (model) => [
    { method: 'difference_in_means', model, hook: 'resid_post.1', ...poles },
    { method: 'sae_latent', model, hook: 'resid_post.1', sae, latent: 1, ...poles, allow_mismatch: true },
  ],
});
