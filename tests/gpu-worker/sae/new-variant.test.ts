/** What the README says adding a variant takes is what it takes: one entry, and every stage of an autoencoder knows it. */

import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { readSae } from '../../../gpu-worker/sae/index.ts';
import saeEncode from '../../../shared/jobs/sae.encode.ts';
import saeEvaluate from '../../../shared/jobs/sae.evaluate.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { savePlantedModel } from '../../support/planted-model.ts';

vi.mock('../../../shared/models/sae-variants.ts', async (original) => {
  const { SAE_VARIANTS } = await original<typeof import('../../../shared/models/sae-variants.ts')>();
  const entry = { regulariser: 'at_most_k', signed: true, over: 'batch', saelens: 'many_signed', aliases: ['ms'] };
  return { SAE_VARIANTS: { ...SAE_VARIANTS, many_signed: entry } };
});

const jobs = new LocalJobs();
afterAll(() => jobs.close());

it('is trained, published, read, evaluated and encoded with', async () => {
  const folder = join(jobs.folder, 'model');
  await savePlantedModel(folder, { steps: 20 });
  (jobs.configuration.models as Record<string, string>).planted = folder;
  const model = { local: 'planted' };
  const corpus = { planted: { seed: 1 } };
  const sae = { variant: 'many_signed', width: 32, k: 3 };
  const params = { model, corpus, hook: 'resid_post.1', steps: 40, batch: 256, evaluation_tokens: 512, saes: [sae] };
  const refused = (spec: object) => () => saeTrain.params.parse({ ...params, saes: [spec] });
  expect(refused({ ...sae, k: null })).toThrow(/many_signed needs k/);
  expect(refused({ ...sae, sparsity: 1 })).toThrow(/no penalty/);

  const { result, published } = await jobs.run(saeTrain, params);
  const trained = result.saes[0]!;
  expect(trained).toMatchObject({ variant: 'many_signed', k: 3 });
  expect(trained.l0).toBeGreaterThan(1);

  const file = (name: string) => jobs.read(published[0]!.blobs.find((blob) => blob.name === name)!);
  const config = JSON.parse(file('cfg.json').toString()) as { metadata: object; architecture: string };
  expect(config.architecture).toBe('many_signed');
  const own = readSae(file('sae_weights.safetensors'), config);
  expect(own).toMatchObject({ variant: 'many_signed', k: 3 });
  // Elsewhere's folders are known by the names that the entry lists.
  expect(readSae(file('sae_weights.safetensors'), { architecture: 'ms', k: 3 }).variant).toBe('many_signed');

  const evaluated = await jobs.run(saeEvaluate, {
    model,
    corpus,
    saes: [trained.id],
    tokens: 512,
    loss_sequences: 2,
  });
  expect(evaluated.result.saes[0]).toMatchObject({ variant: 'many_signed', width: 32 });
  const encoded = await jobs.run(saeEncode, { model, sae: trained.id, texts: ['+tense will soon the road'] });
  const codes = encoded.result.texts[0]!.tokens;
  expect(codes.flatMap((token) => token.codes).some(({ code }) => code < 0)).toBe(true);
});
