import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSae } from '../../../gpu-worker/sae/interchange/read.ts';
import { CONFIG_FILE, saelensFolder, WEIGHTS_FILE } from '../../../gpu-worker/sae/interchange/saelens.ts';
import {
  LATENT_INDEX_BLOB,
  latentIndexSchema,
  latentSchema,
  latentShardBlob,
} from '../../../shared/contracts/latent.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { headerLength, parseHeader } from '../../../shared/formats/safetensors-header.ts';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import type { JobContract, ResultOf } from '../../../shared/jobs/contract.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import lmGenerate from '../../../shared/jobs/lm.generate.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import modelCompare from '../../../shared/jobs/model.compare.ts';
import saeEncode from '../../../shared/jobs/sae.encode.ts';
import saeEvaluate from '../../../shared/jobs/sae.evaluate.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import vectorsDerive from '../../../shared/jobs/vectors.derive.ts';
import { stream } from '../../../shared/math/random.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { savePlantedModel } from '../../support/planted-model.ts';

const SEED = Number(process.env.SEED ?? 11);

/** An evaluation without its id, signs as they depend on the latent's, and TPP in the form that is not safe for signs. */
function signless(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(signless);
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  const entries = Object.entries(value).filter(([name]) => !['id', 'sign', 'original'].includes(name));
  return Object.fromEntries(
    entries.map(([name, own]) => [
      name,
      name.endsWith('correlation') && typeof own === 'number' ? Math.abs(own) : signless(own),
    ]),
  );
}

describe('sae.train and sae.evaluate on a small planted model', () => {
  const jobs = new LocalJobs();
  const base = {
    model: { local: 'planted' },
    hook: 'resid_post.1',
    corpus: { planted: { seed: 0 } },
    context: 24,
    batch: 256,
    learning_rate: 0.003,
    evaluation_tokens: 2048,
  };
  let trained: ResultOf<typeof saeTrain>;

  beforeAll(async () => {
    const folder = join(jobs.folder, 'model');
    await savePlantedModel(folder);
    (jobs.configuration.models as Record<string, string>).planted = folder;
    const { result } = await jobs.run(saeTrain, {
      ...base,
      steps: 250,
      saes: [
        { variant: 'abstopk', width: 64, k: 4 },
        { variant: 'topk', width: 64, k: 4 },
        { variant: 'relu', width: 48, sparsity: 0.05, seed: 3 },
        { variant: 'abstopk', width: 16, k: 4 },
      ],
    });
    trained = result;
  }, 120_000);
  afterAll(() => jobs.close());

  it('publishes what it trained, bound to model, hook and scaling', () => {
    expect(trained.saes.map(({ variant }) => variant)).toEqual(['abstopk', 'topk', 'relu', 'abstopk']);
    expect(trained.saes[0]!.l0).toBeCloseTo(4, 5);
    expect(trained.saes[0]!.fvu).toBeLessThan(0.5);
    const manifest = jobs.published.get(trained.saes[0]!.id)!;
    expect(manifest).toMatchObject({ kind: 'sae', method: 'abstopk', hook: 'resid_post.1' });
    expect(manifest.model_digest).toBe(jobs.described[0]!.digest);
    expect(manifest.body.input_scale).toBeGreaterThan(0);
    expect(trained.warnings).toHaveLength(1);
    expect(trained.warnings[0]).toContain('16 latents are fewer than the 32 dimensions');
    const stages = new Set(jobs.progress.map(({ stage }) => stage));
    expect(stages).toContain('training');
    const { metrics } = jobs.progress.filter(({ stage }) => stage === 'training').at(-1)!;
    for (const name of ['loss', 'fvu', 'l0', 'dead_share', 'tokens_per_s']) {
      expect(metrics[name]).toEqual(expect.any(Number));
    }
  });

  it('describes every latent, both signs alike', () => {
    const manifest = jobs.published.get(trained.saes[0]!.id)!;
    const json = (name: string) => JSON.parse(jobs.read(manifest.blobs.find((blob) => blob.name === name)!).toString());
    const index = latentIndexSchema.parse(json(LATENT_INDEX_BLOB));
    const latents = latentSchema.array().parse(json(latentShardBlob(0)));
    expect(index.count).toBe(64);
    expect(latents).toHaveLength(64);
    expect(latents.some(({ contexts }) => contexts.positive.length > 0 && contexts.negative.length > 0)).toBe(true);
    for (const { latent, contexts, density, maximum, minimum, promotes, suppresses, nearest } of latents) {
      expect(density.positive).toBe(index.columns.positive[latent]);
      expect(contexts.positive.length > 0).toBe(density.positive > 0);
      expect(contexts.negative.length > 0).toBe(density.negative > 0);
      const top = (side: 'positive' | 'negative') => contexts[side].map(({ at, tokens }) => tokens[at]!.code);
      expect(top('positive')[0] ?? 0).toBe(maximum);
      expect(top('negative')[0] ?? 0).toBe(minimum);
      expect(promotes).toHaveLength(8);
      expect(promotes[0]!.logit).toBeGreaterThan(suppresses[0]!.logit);
      expect(nearest.every(({ latent: other }) => other !== latent)).toBe(true);
    }
  });

  it('gives the same ids for the same work', async () => {
    const params = { ...base, steps: 12, saes: [{ variant: 'abstopk', width: 40, k: 3 }] };
    const [one, two] = [await jobs.run(saeTrain, params), await jobs.run(saeTrain, params)];
    expect(two.result.saes[0]!.id).toBe(one.result.saes[0]!.id);
  });

  it('evaluates against the planted axes and splices reconstructions into the model', async () => {
    const { result, published } = await jobs.run(saeEvaluate, {
      model: base.model,
      corpus: base.corpus,
      context: 24,
      tokens: 2048,
      loss_sequences: 16,
      spelling: {},
      steering: {
        positive: { texts: ['+tense the', '+tense road', '+tense a stone'], tokens: ['will', 'soon'] },
        negative: { texts: ['-tense the', '-tense road', '-tense a stone'], tokens: ['was', 'once'] },
        prompts: ['~tense the', '~tense road'],
        strengths: [0.5, 2],
      },
      labelled: [
        {
          name: 'tense',
          texts: Array.from({ length: 40 }, (_, i) => ({
            text: `${i % 2 ? '-' : '+'}tense ${i % 2 ? 'was once' : 'will soon'} the ${i % 3 ? 'road' : 'stone'}`,
            label: i % 2 ? 'past' : 'future',
          })),
        },
      ],
      saes: trained.saes.map(({ id }) => id),
    });
    const { saes } = result;
    expect(saes[0]!.fvu).toBeCloseTo(trained.saes[0]!.fvu!, 5);
    for (const { axes, loss } of saes) {
      expect(axes.map(({ axis }) => axis)).toContain('sentiment');
      // Splicing the site's own values changes nothing; zeros are the scale's other end.
      expect(Math.abs(loss!.cross_entropy.identity! - loss!.original)).toBeLessThan(1e-6);
      expect(loss!.kl.identity).toBeLessThan(1e-9);
      expect(loss!.kl.spliced).toBeGreaterThan(0);
      expect(loss!.cross_entropy.zero).toBeGreaterThan(loss!.cross_entropy.spliced!);
      expect(loss!.recovered).toBeGreaterThan(0.5);
      expect(loss!.recovered).toBeLessThanOrEqual(1.001);
    }
    for (const { steering } of saes) {
      for (const points of Object.values(steering!.frontiers)) {
        expect(points.map(({ strength }) => strength)).toEqual([-2, -0.5, 0, 0.5, 2]);
        expect(points[2]).toMatchObject({ effect: 0, off_target_kl: 0 });
        expect(points[4]!.off_target_kl).toBeGreaterThan(points[3]!.off_target_kl);
      }
      const means = steering!.frontiers.difference_in_means!;
      expect(means[4]!.effect).toBeGreaterThan(0);
      expect(means[0]!.effect).toBeLessThan(0);
    }
    for (const { labelled, intervals, fvu, absorption } of saes) {
      // The planted language has too few words to a letter to learn from, and its model no reason to spell.
      expect(absorption).toMatchObject({ words: 78, dropped: 0, fixed: null });
      expect(absorption!.left_out[0]).toEqual({ letter: 'a', reason: expect.stringContaining('words to learn from') });
      expect(labelled[0]).toMatchObject({ name: 'tense', texts: 40, tested: 12, scr: null });
      expect(labelled[0]!.chance).toBeLessThan(1);
      expect(labelled[0]!.dense_accuracy).toBe(1);
      expect(intervals!.fvu!.low).toBeLessThanOrEqual(fvu! + 0.02);
      expect(intervals!.fvu!.high).toBeGreaterThanOrEqual(fvu! - 0.02);
    }
    expect(published[0]!.blobs.map(({ name }) => name)).toContain('density-3.svg');
    const report = JSON.parse(jobs.read(published[0]!.blobs[0]!).toString()) as { saes: unknown[] };
    expect(report.saes).toHaveLength(4);
  });

  it(`measures the same when the signs of latents are flipped, seed ${SEED}`, async () => {
    const manifest = jobs.published.get(trained.saes[0]!.id)!;
    const context = jobs.context({});
    const file = (name: string) => jobs.read(manifest.blobs.find((blob) => blob.name === name)!);
    const config = JSON.parse(file(CONFIG_FILE).toString()) as Record<string, unknown>;
    const sae = readSae(file(WEIGHTS_FILE), config);
    const { inputs, width, encoder, encoderBias, decoder } = sae.parameters;
    const random = stream(SEED, 'flips').uniform(width);
    for (let i = 0; i < width; i++) {
      if (random[i]! < 0.5) {
        continue;
      }
      encoderBias[i] = -encoderBias[i]!;
      for (let j = i * inputs; j < (i + 1) * inputs; j++) {
        encoder[j] = -encoder[j]!;
        decoder[j] = -decoder[j]!;
      }
    }
    const { weights } = saelensFolder(sae, { model_name: null, hook_name: null, input_scale: 1 });
    const blob = { ...(await context.artefact('flipped', 'application/octet-stream', weights)), name: WEIGHTS_FILE };
    const flipped: Manifest = {
      ...manifest,
      blobs: manifest.blobs.map((own) => (own.name === WEIGHTS_FILE ? blob : own)),
    };
    const id = await manifestId(flipped);
    jobs.published.set(id, flipped);
    const { result } = await jobs.run(saeEvaluate, {
      model: base.model,
      corpus: base.corpus,
      context: 24,
      tokens: 1024,
      loss_sequences: 4,
      spelling: { examples: 2 },
      steering: {
        positive: { texts: ['+tense the', '+tense road'], tokens: ['will', 'soon'] },
        negative: { texts: ['-tense the', '-tense road'], tokens: ['was', 'once'] },
        prompts: ['~tense the'],
        strengths: [1],
      },
      labelled: [
        {
          name: 'tense',
          texts: Array.from({ length: 60 }, (_, i) => ({
            text: `${'+-~'[i % 3]}tense ${i % 2 ? 'the' : 'a'} ${i % 5 ? 'road' : 'stone'}`,
            label: String(i % 3),
          })),
        },
      ],
      saes: [trained.saes[0]!.id, id],
    });
    const [one, other] = result.saes.map(signless);
    expect(other).toEqual(one);
  });

  it('encodes texts, and takes an SAE to another model only when told to', async () => {
    const sae = trained.saes[0]!.id;
    const encode = (model: string, more: Record<string, unknown> = {}) =>
      jobs.run(saeEncode, { model: { local: model }, sae, texts: ['+tense will soon', 'the road'], ...more });
    const { result } = await encode('planted', { strongest: 3 });
    const { texts, mismatch } = result;
    expect(mismatch).toEqual([]);
    expect(texts[0]!.tokens.map(({ text }) => text)).toEqual(['+tense', 'will', 'soon']);
    for (const { codes, error } of texts.flatMap(({ tokens }) => tokens)) {
      expect(codes).toHaveLength(3);
      expect(Math.abs(codes[0]!.code)).toBeGreaterThanOrEqual(Math.abs(codes[2]!.code));
      expect(error).toBeGreaterThan(0);
    }

    const models = jobs.configuration.models as Record<string, string>;
    for (const [name, width] of [
      ['other', 32],
      ['narrow', 16],
    ] as const) {
      models[name] = join(jobs.folder, name);
      await savePlantedModel(models[name], { steps: 1, width });
    }
    await expect(encode('other')).rejects.toMatchObject({ code: 'data_invalid' });
    expect((await encode('other', { allow_mismatch: true })).result.mismatch).toEqual(['model']);
    await expect(encode('narrow', { allow_mismatch: true })).rejects.toMatchObject({
      message: expect.stringMatching(/reads 32 values, resid_post.1 has 16/),
      errors: [{ pointer: '/params/sae' }],
    });
  });

  it('refuses what cannot work, by name', async () => {
    const train = (change: Record<string, unknown>) => jobs.run(saeTrain, { ...base, steps: 4, ...change });
    const sae = { variant: 'topk', width: 64, k: 4 };
    await expect(train({ saes: [{ ...sae, k: 65 }] })).rejects.toThrow(/k = 65 is above the width 64/);
    await expect(train({ saes: [{ ...sae, k: null }] })).rejects.toThrow(/topk needs k/);
    await expect(train({ saes: [sae], hook: 'resid_post.9' })).rejects.toMatchObject({ code: 'hook_unknown' });
    await expect(train({ saes: [sae], model: { local: 'absent' } })).rejects.toMatchObject({ code: 'model_unknown' });
    await expect(train({ saes: [sae], corpus: { texts: ['sun fire'] }, batch: 8192 })).rejects.toMatchObject({
      code: 'data_invalid',
    });
    await expect(train({ saes: [{ ...sae, variant: 'nope' }] })).rejects.toThrow(/variant/);
    // What a variant would not use is refused, not ignored.
    await expect(train({ saes: [{ ...sae, variant: 'relu' }] })).rejects.toThrow(/sparse by 'sparsity', not by k/);
    await expect(train({ saes: [{ ...sae, sparsity: 0.1 }] })).rejects.toThrow(
      /has k latents per token and no penalty/,
    );
    const { model, corpus, context } = base;
    const texts = Array.from({ length: 20 }, () => ({ text: '+tense the road', label: 'one' }));
    const evaluate = { model, corpus, context, saes: [trained.saes[0]!.id], tokens: 256, loss_sequences: 0 };
    await expect(jobs.run(saeEvaluate, { ...evaluate, labelled: [{ name: 'same', texts }] })).rejects.toThrow(
      /'same': every text is labelled 'one'/,
    );
    const pole = (tokens: string[]) => ({ texts: ['+tense the'], tokens });
    const steering = { positive: pole(['will', 'soon']), negative: pole(['was', 'soon']), prompts: ['~tense the'] };
    await expect(jobs.run(saeEvaluate, { ...evaluate, steering })).rejects.toMatchObject({
      message: expect.stringMatching(/'soon' is on the positive pole too/),
      errors: [expect.objectContaining({ pointer: '/params/steering/negative/tokens' })],
    });
  });

  it('claims nothing of the share of a variance that is none, nor an interval of one text', async () => {
    const { model, context } = base;
    const evaluate = async (texts: string[], more: Record<string, unknown> = {}) => {
      const saes = [trained.saes[0]!.id];
      const { result } = await jobs.run(saeEvaluate, {
        model,
        context,
        saes,
        tokens: 256,
        corpus: { texts },
        ...more,
      });
      return result.saes[0]!;
    };
    // Every sequence is the beginning and one word: beside the special token all activations are the same.
    const constant = await evaluate(new Array(40).fill('the'), { context: 2, loss_sequences: 0 });
    expect(constant).toMatchObject({ fvu: null, intervals: { fvu: null, l0: { low: 4, high: 4 } } });
    expect(await evaluate(['the road was a stone'], { loss_sequences: 0 })).toMatchObject({ intervals: null });
  });

  it('never lets activations that are not finite through', async () => {
    const models = jobs.configuration.models as Record<string, string>;
    models.broken = join(jobs.folder, 'broken');
    cpSync(models.planted!, models.broken, { recursive: true });
    const file = join(models.broken, 'model.safetensors');
    const bytes = readFileSync(file);
    const { begin } = parseHeader(bytes.subarray(8, 8 + headerLength(bytes, bytes.length)), bytes.length).tensors.get(
      'model.layers.0.mlp.down_proj.weight',
    )!;
    bytes.writeFloatLE(Number.NaN, begin);
    writeFileSync(file, bytes);
    const model = { local: 'broken' };
    const sae = trained.saes[0]!.id;
    const refused = { code: 'not_finite', message: expect.stringContaining("NaN at 'mlp_out.0', in layer 0") };
    const pole = (texts: string[], tokens: string[]) => ({ label: 'x', texts, tokens });
    const poles = { positive: pole(['+tense the'], ['will']), negative: pole(['-tense the'], ['was']) };
    const common = { model, hook: 'resid_post.1', ...poles, prompts: ['the road'], allow_mismatch: true };
    const { allow_mismatch: _, ...means } = common;
    for (const [contract, params] of [
      [saeEncode, { model, sae, texts: ['the road'], allow_mismatch: true }],
      [saeTrain, { ...base, model, steps: 4, saes: [{ variant: 'topk', width: 64, k: 4 }] }],
      [saeEvaluate, { model, saes: [sae], corpus: base.corpus, tokens: 256, context: 24, allow_mismatch: true }],
      [vectorsDerive, { method: 'sae_latent', sae, latent: 1, ...common }],
      [vectorsDerive, { method: 'difference_in_means', ...means }],
      [activationsExtract, { model, hooks: ['resid_post.0'], corpus: base.corpus, tokens: 100 }],
      [lmEvaluate, { model, corpus: base.corpus, tokens: 100 }],
      [lmEvaluate, { model, prompts: ['the road'] }],
      [lmGenerate, { model, prompts: ['the road'], max_tokens: 3 }],
      [lmTrain, { from: model, corpus: base.corpus, steps: 2, context: 8, batch: 2 }],
      [modelCompare, { model, other: { local: 'planted' }, corpus: base.corpus, tokens: 256, context: 16 }],
    ] as [JobContract, Record<string, unknown>][]) {
      await expect(jobs.run(contract, params), `${contract.type} ${JSON.stringify(params)}`).rejects.toMatchObject(
        refused,
      );
    }
  });
});
