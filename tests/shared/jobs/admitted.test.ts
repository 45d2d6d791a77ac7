/** What the params of a job alone decide is decided at the door. */
import { expect, it } from 'vitest';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';

const contracts = Object.values(JOB_CONTRACTS);
const exampleOf = (type: string) => JOB_CONTRACTS[type]?.example as Record<string, unknown>;
/** Where the params of a job of this type do not fit, once the example has these fields. */
const faults = (type: string, changed: Record<string, unknown>): string[] => {
  const parsed = JOB_CONTRACTS[type]?.params.safeParse({ ...exampleOf(type), ...changed });
  return parsed?.success === false ? parsed.error.issues.map(({ path }) => path.join('/')) : [];
};
const saes = exampleOf('sae.train').saes as unknown[];
const [copy] = exampleOf('compression.study').copies as unknown[];
const run = { label: 'plain', vectors: [] };

it.each(contracts.map(({ type }) => type))('takes the example of %s', (type) => {
  expect(faults(type, {})).toEqual([]);
});

it.each([
  ['lm.train', { width: 64, heads: 5 }, 'heads'],
  ['lm.train', { steps: 10, warm_up: 11 }, 'warm_up'],
  ['lm.train', { steps: 10, checkpoints: [4, 11] }, 'checkpoints/1'],
  ['lm.train', { steps: 10, checkpoints: [4, 4] }, 'checkpoints/1'],
  ['lm.train', { task: { of: { ioi: {} } } }, 'task'],
  ['lm.train', { tokenizer: { local: 'other' } }, 'tokenizer'],
  ['sae.train', { steps: 10, warmup_steps: 11 }, 'warmup_steps'],
  ['sae.train', { saes: [...saes, ...saes] }, 'saes/1'],
  ['sae.evaluate', { saes: [exampleOf('sae.encode').sae, exampleOf('sae.encode').sae] }, 'saes/1'],
  ['activations.extract', { hooks: ['resid_post.1', 'resid_post.1'] }, 'hooks/1'],
  ['activations.extract', { hooks: ['attn_pattern.1'] }, 'hooks/0'],
  ['activations.read', { hooks: ['resid_post.1', 'resid_post.1'] }, 'hooks/1'],
  ['sae.train', { hook: 'attn_pattern.0' }, 'hook'],
  ['lm.generate', { runs: [run, run] }, 'runs/1'],
  ['lm.evaluate', { runs: [run, run] }, 'runs/1'],
  ['lm.evaluate', { targets: [{ label: 'glad', tokens: ['glad'] }] }, 'prompts'],
  ['lm.evaluate', { prompts: ['a', 'b'], answers: [{ token: 'c' }] }, 'answers'],
  ['lm.evaluate', { corpus: null, reference: { local: 'other' } }, 'reference'],
  ['compression.study', { copies: [copy, copy] }, 'copies/1'],
  ['refusal.study', { copies: [copy, copy] }, 'copies/1'],
  ['vectors.derive', { hooks: ['resid_post.1'] }, 'hooks'],
  ['vectors.derive', { positive: { label: 'glad' } }, 'positive/texts'],
] as const)('refuses in %s %j', (type, changed, at) => {
  expect(faults(type, changed)).toEqual([at]);
});

it('demands no texts of a latent, beside one to measure its stream on', () => {
  const { model, hook, prompts } = exampleOf('vectors.derive');
  const latent = {
    method: 'sae_latent',
    model,
    hook,
    sae: exampleOf('sae.encode').sae,
    latent: 3,
    positive: { label: 'glad' },
    negative: { label: 'sad' },
  };
  const check = (params: unknown) => JOB_CONTRACTS['vectors.derive']?.params.safeParse(params);
  expect(check({ ...latent, prompts })?.success).toBe(true);
  expect(check({ ...latent })?.error?.issues.map(({ path }) => path.join('/'))).toEqual(['prompts']);
});
