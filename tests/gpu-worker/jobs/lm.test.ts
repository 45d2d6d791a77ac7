import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AXES, announcement } from '../../../gpu-worker/lm/corpus/planted/axes.ts';
import { PlantedLanguage } from '../../../gpu-worker/lm/corpus/planted/language.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import lmGenerate from '../../../shared/jobs/lm.generate.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import vectorsDerive from '../../../shared/jobs/vectors.derive.ts';
import { LocalJobs } from '../../support/job-context.ts';

const language = new PlantedLanguage(0);
const axis = AXES[0]!;
const header = (state: number): string => AXES.map((a) => announcement(a, a === axis ? state : 0)).join(' ');
const links = ['the', 'and', 'with the', 'of a'];

describe('jobs of language models, one after another', () => {
  const jobs = new LocalJobs({ threads: 2 });
  let model: { id: string };
  let trained: ResultOf<typeof lmTrain>;

  beforeAll(async () => {
    const params = { layers: 2, width: 48, mlp_width: 96, heads: 4, context: 24, batch: 48, steps: 150, seed: 5 };
    ({ result: trained } = await jobs.run(lmTrain, { ...params, learning_rate: 0.006 }));
    model = { id: trained.model };
  }, 120_000);
  afterAll(() => jobs.close());

  it('lm.train learns the language and publishes a whole folder', () => {
    const uniform = Math.log(language.vocabulary.length);
    const loss = trained.held_out_loss;
    // well below knowing nothing, and not below what the language itself loses on the same text
    expect(loss).toBeLessThan(0.85 * uniform);
    expect(loss).toBeGreaterThan(trained.ideal_loss! - 0.005);
    const manifest = jobs.published.get(model.id)!;
    expect(manifest.blobs.map(({ name }) => name).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(jobs.progress.at(-1)!.metrics.loss).toEqual(expect.any(Number));
  });

  it('activations.extract writes every token once, in shards, with statistics of what it wrote', async () => {
    const hook = 'resid_post.0';
    const { result, published } = await jobs.run(activationsExtract, {
      model,
      hooks: [hook, 'mlp_act.1'],
      corpus: { planted: { seed: 0 } },
      context: 24,
      tokens: 3000,
      shard_tokens: 1024,
    });
    expect(result).toMatchObject({ tokens: 3000, shards: 3, width: 48 });
    const files = published[0]!.blobs.map((blob) => readSafetensors(jobs.read(blob)));
    expect(files.map((file) => file.shape(hook))).toEqual([
      [1024, 48],
      [1024, 48],
      [952, 48],
    ]);
    expect(files[0]!.shape('mlp_act.1')).toEqual([1024, 96]);
    const rows = files.flatMap((file) => [...file.float32(hook)]);
    const norms = Array.from({ length: 3000 }, (_, i) => Math.hypot(...rows.slice(48 * i, 48 * (i + 1))));
    const mean = norms.reduce((a, b) => a + b, 0) / 3000;
    expect(result.hooks[hook]!.mean_norm).toBeCloseTo(mean, 4);
  });

  it('float16 shards hold the same values, rounded', async () => {
    const params = { model, hooks: ['resid_post.0'], corpus: { planted: { seed: 0 } }, context: 24, tokens: 1024 };
    const values = [];
    for (const dtype of ['float32', 'float16']) {
      const { published } = await jobs.run(activationsExtract, { ...params, dtype });
      values.push(readSafetensors(jobs.read(published[0]!.blobs[0]!)).float32('resid_post.0'));
    }
    const [exact, rounded] = values as [Float32Array, Float32Array];
    expect(Math.max(...exact.map((v, i) => Math.abs(v - rounded[i]!) / Math.max(Math.abs(v), 1e-3)))).toBeLessThan(
      1e-3,
    );
  });

  it('vectors.derive and lm.evaluate: a difference of means moves both poles, in opposite directions by sign', async () => {
    const derived = await jobs.run(vectorsDerive, {
      method: 'difference_in_means',
      model,
      hook: 'resid_post.0',
      positive: { label: 'glad', texts: links.map((t) => `${header(1)} ${t}`), tokens: axis.positive },
      negative: { label: 'sad', texts: links.map((t) => `${header(-1)} ${t}`), tokens: axis.negative },
      prompts: links.map((t) => `${header(0)} ${t}`),
      strengths: [0.25, 0.5, 1],
      name: 'mood',
    });
    expect(derived.result.name).toBe('mood');
    // What a vector is does not depend on what it is called.
    expect(derived.published[0]!.params).not.toHaveProperty('name');
    const { calibration, strength, vector } = derived.result;
    expect(calibration.map((point) => point.strength)).toEqual([-1, -0.5, -0.25, 0, 0.25, 0.5, 1]);
    expect(calibration[3]!.kl).toBe(0);
    expect(strength).toBeGreaterThan(0);
    const manifest = jobs.published.get(vector)!;
    const values = new Float32Array(Uint8Array.from(jobs.read(manifest.blobs[0]!)).buffer);
    expect(Math.hypot(...values)).toBeCloseTo(1, 5);

    const poles = {
      positive: { label: 'glad', texts: links.map((t) => `${header(1)} ${t}`), tokens: axis.positive },
      negative: { label: 'sad', texts: links.map((t) => `${header(-1)} ${t}`), tokens: axis.negative },
      prompts: links.map((t) => `${header(0)} ${t}`),
      strengths: [0.5, 1],
    };
    for (const method of ['principal_component', 'contrastive_pairs', 'logistic_probe']) {
      const swept = await jobs.run(vectorsDerive, {
        ...poles,
        method,
        model,
        hook: 'resid_post.0',
        hooks: ['resid_post.1'],
        positions: 'last',
      });
      const { sweep = [], hook } = swept.result;
      expect(sweep.map((one) => one.hook)).toEqual(['resid_post.0', 'resid_post.1']);
      const gains = sweep.map(({ strength, calibration }) => {
        const at = (value: number | null) => calibration.find((point) => point.strength === value)!;
        return strength === null ? 0 : at(strength).positive_probability - at(0).positive_probability;
      });
      expect(hook).toBe(sweep[gains.indexOf(Math.max(...gains))]!.hook);
      expect(Math.max(...gains)).toBeGreaterThan(0.05);
      expect(swept.published[0]!.hook).toBe(hook);
      const found = new Float32Array(Uint8Array.from(jobs.read(swept.published[0]!.blobs[0]!)).buffer);
      expect(Math.hypot(...found)).toBeCloseTo(1, 5);
    }

    const { result } = await jobs.run(lmEvaluate, {
      model,
      prompts: links.map((t) => `${header(0)} ${t}`),
      corpus: { planted: { seed: 0 } },
      tokens: 1000,
      context: 24,
      targets: [
        { label: 'glad', tokens: axis.positive },
        { label: 'sad', tokens: axis.negative },
      ],
      runs: [
        { label: 'plain' },
        { label: 'up', vectors: [{ vector, strength: 1 }] },
        { label: 'down', vectors: [{ vector, strength: -1 }] },
        {
          label: 'back',
          vectors: [
            { vector, strength: 1 },
            { vector, strength: -1 },
          ],
        },
      ],
    });
    const [plain, up, down, back] = result.runs.map(({ targets, kl, loss }) => ({
      glad: targets.glad!,
      sad: targets.sad!,
      kl,
      loss: loss!,
    }));
    expect(plain!.kl).toBe(0);
    expect(up!.glad).toBeGreaterThan(1.5 * plain!.glad);
    expect(up!.sad).toBeLessThan(plain!.sad);
    expect(down!.sad).toBeGreaterThan(1.5 * plain!.sad);
    expect(down!.glad).toBeLessThan(plain!.glad);
    expect(up!.loss).toBeGreaterThan(plain!.loss);
    expect(back!.kl).toBeLessThan(1e-6);
    // The calibration curve and the evaluation are two ways to the same number.
    expect(up!.glad).toBeCloseTo(calibration.at(-1)!.positive_probability, 6);
  });

  it('lm.generate continues prompts plain and steered in one run, with log-probabilities', async () => {
    const [vector] = [...jobs.published].find(([, manifest]) => manifest.kind === 'vector')!;
    const params = {
      model,
      prompts: [`${header(0)} the`, `${header(0)} and`],
      max_tokens: 12,
      temperature: 1,
      seed: 3,
      runs: [{ label: 'plain' }, { label: 'glad', vectors: [{ vector, strength: 1.5 }] }],
    };
    const { result } = await jobs.run(lmGenerate, params);
    const [plain, glad] = result.runs;
    expect(plain!.texts).toHaveLength(2);
    for (const { tokens, log_probabilities } of plain!.texts) {
      expect(log_probabilities).toHaveLength(tokens.length);
      expect(Math.max(...log_probabilities)).toBeLessThanOrEqual(0);
    }
    expect(glad!.texts.map(({ text }) => text)).not.toEqual(plain!.texts.map(({ text }) => text));
    expect((await jobs.run(lmGenerate, params)).result).toEqual(result);
  });

  it.each([
    [{ local: 'nobody' }, /no model alias 'nobody'/],
    [{ hub: 'nowhere', repo: 'a/b', revision: 'main' }, /knows no hub 'nowhere'/],
  ])('a model that cannot be resolved, %j, fails before anything heavy', async (reference, message) => {
    const params = { model: reference, hooks: ['resid_post.0'], corpus: { planted: { seed: 0 } } };
    const failed = jobs.run(activationsExtract, params);
    await expect(failed).rejects.toMatchObject({ code: 'model_unknown', message: expect.stringMatching(message) });
  });

  it.each([
    [
      'vectors.derive',
      { positive: { label: 'a', texts: ['the'], tokens: ['xyzzy'] } },
      /'xyzzy' is not a single token/,
    ],
    ['vectors.derive', { positive: { label: 'a', texts: [] } }, /needs texts/],
    [
      'vectors.derive',
      { negative: { label: 'b', texts: ['the'] }, positive: { label: 'a', texts: ['the'] } },
      /same mean/,
    ],
    ['vectors.derive', { positive: { label: 'a', texts: ['the '.repeat(200)] } }, /201 tokens, the model reads 96/],
    ['activations.extract', { hooks: ['attn_pattern.0'] }, /no vectors of fixed width/],
    ['activations.extract', { hooks: ['resid_post.7'] }, /resid_post/],
    ['lm.evaluate', { prompts: [], targets: [{ label: 'x', tokens: ['the'] }] }, /targets are measured after prompts/],
  ])('%s refuses %j', async (type, wrong, message) => {
    const base = {
      'vectors.derive': {
        method: 'difference_in_means',
        model,
        hook: 'resid_post.0',
        positive: { label: 'a', texts: ['glad'] },
        negative: { label: 'b', texts: ['sad'] },
      },
      'activations.extract': { model, corpus: { planted: { seed: 0 } }, tokens: 10 },
      'lm.evaluate': { model },
    }[type as 'lm.evaluate'];
    await expect(jobs.run(JOB_CONTRACTS[type]!, { ...base, ...wrong })).rejects.toThrow(message);
  });
});
