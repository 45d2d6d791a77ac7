/** The jobs that compress a model, compare two and prune an autoencoder, on a tiny model. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discardFolder, readFolder, readWeight } from '../../../gpu-worker/lm/weights/folder.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import compressionStudy from '../../../shared/jobs/compression.study.ts';
import modelCompare from '../../../shared/jobs/model.compare.ts';
import modelCompress from '../../../shared/jobs/model.compress.ts';
import saePrune from '../../../shared/jobs/sae.prune.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { gap, TINY, type TinyModel, tinyModel, WIDE } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

const LINEARS = /_proj\.weight$/;

describe('compression jobs', () => {
  let tiny: TinyModel;
  let other: TinyModel;
  let jobs: LocalJobs;
  const texts = Array.from({ length: 60 }, (_, i) =>
    Array.from({ length: 24 }, (_, j) => `w${2 + ((7 * i + j * (1 + (i % 3))) % 40)}`).join(' '),
  );
  const calibration = { corpus: { texts }, context: 16, tokens: 512, held_out_tokens: 64 };
  beforeAll(() => {
    tiny = tinyModel({ ...WIDE.llama!, num_hidden_layers: 3, intermediate_size: 48 }, { tokenizer: wordTokenizer() });
    other = tinyModel({ ...TINY.qwen2! }, { tokenizer: wordTokenizer() });
    jobs = new LocalJobs({ models: { tiny: tiny.folder, other: other.folder } });
  });
  afterAll(() => {
    jobs.close();
    for (const model of [tiny, other]) {
      model.remove();
    }
  });

  const compress = (params: Record<string, unknown>, last: Parameters<LocalJobs['run']>[2] = null) =>
    jobs.run(modelCompress, { model: { local: 'tiny' }, ...calibration, ...params }, last);

  function folderOf(manifest: Manifest): string {
    const folder = join(jobs.folder, `folder-${manifest.model_digest!.slice(0, 12)}`);
    mkdirSync(folder, { recursive: true });
    for (const blob of manifest.blobs) {
      writeFileSync(join(folder, blob.name), jobs.read(blob));
    }
    return folder;
  }
  const weightsOf = (path: string): Map<string, Float32Array> => {
    const folder = readFolder(path);
    const values = new Map([...folder.stored.keys()].map((name) => [name, readWeight(folder, name)]));
    discardFolder(folder);
    return values;
  };

  it.each([
    ['magnitude', { share: 0.5 }],
    ['wanda', { share: 0.25 }],
    ['sparsegpt', { share: 0.75 }],
    ['n_of_m', {}],
  ] as const)('%s leaves exactly its zeros, in every linear layer and nowhere else', async (method, params) => {
    const { result, published } = await compress({ method, ...params });
    const [before, after] = [weightsOf(tiny.folder), weightsOf(folderOf(published[0]!))];
    const share = 'share' in params ? params.share : 0.5;
    for (const [name, values] of after) {
      const zeros = values.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
      if (LINEARS.test(name)) {
        expect([name, zeros / values.length]).toEqual([name, share]);
      } else {
        expect([name, gap(values, before.get(name)!)]).toEqual([name, 0]);
      }
    }
    expect(result).toMatchObject({ matrices: 21, sparsity: share, notices: [] });
  });

  it.each([
    ['rtn', { bits: 4, group: 16 }],
    ['gptq', { bits: 3, group: 8, symmetric: false }],
    ['awq', { bits: 8, group: null }],
  ] as const)('%s writes packed codes that open again', async (method, params) => {
    const { result, published } = await compress({ method, ...params });
    const folder = readFolder(folderOf(published[0]!));
    expect(folder.storage).toMatchObject({
      layout: 'compressed-tensors pack-quantized',
      bits: params.bits,
      group: params.group,
      notices: [],
    });
    for (const name of folder.stored.keys()) {
      if (LINEARS.test(name)) {
        const [, inputs] = folder.stored.get(name)!.shape as [number, number];
        const row = readWeight(folder, name).subarray(0, Math.min(inputs, params.group ?? inputs));
        expect(new Set(row).size).toBeLessThanOrEqual(2 ** params.bits);
      }
    }
    discardFolder(folder);
    expect(Math.abs(result.loss! - result.dense_loss!)).toBeLessThan(0.5);
  });

  it('does nothing for share 0 and 16 bits', async () => {
    for (const params of [
      { method: 'wanda', share: 0 },
      { method: 'gptq', bits: 16 },
    ]) {
      const { result, published } = await compress(params);
      expect(result.loss).toBe(result.dense_loss);
      for (const [name, values] of weightsOf(folderOf(published[0]!))) {
        expect([name, gap(values, weightsOf(tiny.folder).get(name)!)]).toEqual([name, 0]);
      }
    }
  });

  it('goes on at the block where another attempt died, to the same bytes', async () => {
    const params = { method: 'gptq', bits: 4, group: 16 };
    const whole = await compress(params);
    const saved = jobs.checkpoints.at(-1)!;
    expect(saved.state.blocks).toBeGreaterThan(0);
    const again = await compress(params, saved);
    expect(again.metrics.blocks_resumed).toBe(saved.state.blocks);
    expect(again.published[0]!.blobs).toEqual(whole.published[0]!.blobs);
  });

  it('fails where a share above 0 changes nothing', async () => {
    const { published } = await compress({ method: 'wanda', share: 0.5 });
    const model = { id: await manifestId(published[0]!) };
    await expect(jobs.run(modelCompress, { model, ...calibration, method: 'wanda', share: 0.5 })).rejects.toThrow(
      /changed nothing/,
    );
  });

  it.each([
    [{ method: 'rtn', bits: 4, group: 24 }, /^\/group: .*64 inputs, not a multiple of 24/],
    [{ method: 'wanda', bits: 4 }, /^\/bits/],
    [{ method: 'gptq', bits: 9 }, /^\/bits/],
    [{ method: 'wanda' }, /^\/share/],
    [{ method: 'wanda', share: 0.5, linears: ['nothing'] }, /^\/linears\/0/],
    [{ method: 'wanda', share: 0.5, tokens: 8 }, /^\/tokens: 8 tokens are fewer than one sequence of 16/],
    [{ method: 'magnitude', shares: [0.5] }, /^\/shares: 1 shares for a model of 3 layers/],
  ])('refuses %j', async (params, message) => {
    await expect(compress(params)).rejects.toMatchObject({ code: 'data_invalid', message });
  });

  it.each([1, -0.1, Number.NaN])('refuses a share of %d', async (share) => {
    await expect(compress({ method: 'wanda', share })).rejects.toThrow(/share/);
  });

  it('refuses a tied matrix that is named twice', async () => {
    const params = {
      model: { local: 'other' },
      ...calibration,
      method: 'wanda',
      share: 0.5,
      linears: ['model.embed_tokens.weight', 'lm_head.weight'],
    };
    await expect(jobs.run(modelCompress, params)).rejects.toThrow(/^\/linears\/1: .*tied/);
  });

  it('compares a model with its compressed copy', async () => {
    const { published } = await compress({ method: 'wanda', share: 0.5 });
    const id = await manifestId(published[0]!);
    const params = { model: { local: 'tiny' }, corpus: { texts }, context: 16, tokens: 64 };
    const { result: found } = await jobs.run(modelCompare, { ...params, other: { id } });
    expect(found.kl.estimate).toBeGreaterThan(0);
    expect(found.layers[0]!.arisen_share).toBeCloseTo(1, 6);
    expect(found.layers.every(({ relative_error }) => relative_error > 0)).toBe(true);
    const same = await jobs.run(modelCompare, { ...params, other: { local: 'tiny' } });
    expect(same.result).toMatchObject({ kl: { estimate: 0 }, agreement: { estimate: 1 } });
    await expect(jobs.run(modelCompare, { ...params, other: { local: 'other' } })).rejects.toThrow(
      /^\/other: its family/,
    );
  });

  it('prunes an autoencoder to exact non-zeros', async () => {
    const hook = 'resid_post.1';
    const trained = await jobs.run(saeTrain, {
      model: { local: 'tiny' },
      hook,
      corpus: { texts },
      saes: [{ variant: 'topk', width: 64, k: 4 }],
      steps: 20,
      context: 16,
      batch: 64,
    });
    const sae = await manifestId(trained.published.find(({ kind }) => kind === 'sae')!);
    for (const rule of ['canonical', 'output_norms', 'magnitude_matrix', 'magnitude_latent']) {
      const { result } = await jobs.run(saePrune, {
        model: { local: 'tiny' },
        sae,
        corpus: { texts },
        rule,
        shares: [0, 0.25, 0.75],
        tokens: 256,
        context: 16,
      });
      const { saes, unpruned } = result;
      const all = 64 * 64;
      expect(saes.map(({ encoder_nonzeros: n }) => n)).toEqual([all, 0.75 * all, 0.25 * all]);
      expect(saes.map(({ decoder_nonzeros: n }) => n)).toEqual([all, 0.75 * all, 0.25 * all]);
      expect(saes[0]).toMatchObject({ fvu: unpruned.fvu, l0: unpruned.l0 });
    }
  });

  describe('a study', () => {
    let sae: string;
    let copy: string;
    const hook = 'resid_post.1';
    const study = (params: Record<string, unknown> = {}, last: Parameters<LocalJobs['run']>[2] = null) =>
      jobs.run(
        compressionStudy,
        {
          model: { local: 'tiny' },
          sae: { id: sae },
          copies: [
            { label: 'itself', model: { local: 'tiny' } },
            { label: 'wanda', model: { id: copy } },
          ],
          corpus: { texts },
          tokens: 256,
          context: 16,
          loss_sequences: 4,
          ...params,
        },
        last,
      );
    beforeAll(async () => {
      const trained = await jobs.run(saeTrain, {
        model: { local: 'tiny' },
        hook,
        corpus: { texts },
        saes: [{ variant: 'topk', width: 64, k: 4 }],
        steps: 40,
        context: 16,
        batch: 64,
      });
      sae = await manifestId(trained.published.find(({ kind }) => kind === 'sae')!);
      copy = await manifestId((await compress({ method: 'wanda', share: 0.5 })).published[0]!);
    });

    it('finds nothing changed on the model itself, and less kept on a pruned copy', async () => {
      const { result, published } = await study();
      const { dense, copies } = result;
      const [same, pruned] = copies;
      const [{ fvu, l0, loss_with, kl }] = same!.variants as [typeof dense];
      expect({ fvu, l0, loss_with, kl }).toEqual({
        fvu: dense.fvu,
        l0: dense.l0,
        loss_with: dense.loss_with,
        kl: dense.kl,
      });
      expect(same).toMatchObject({ survival: 1, support_overlap: 1, retraining: 'recipe' });
      expect(result.text).toMatchObject({ split: 'held_out', packing: 'packed', window: 16 });
      expect(result.text?.tokens.used).toBe(result.tokens);
      // As its recipe has it: 40 steps of 64 activations, or less where the text is shorter.
      expect(result.retraining_text).toMatchObject({ split: 'train', window: 16 });
      expect(pruned!.survival).toBeLessThan(1);
      expect(pruned!.variants.map(({ variant }) => variant)).toEqual([
        'transferred',
        'retrained',
        'pruned',
        'pruned',
        'pruned',
      ]);
      const names = published[0]!.blobs.map(({ name }) => name);
      expect(names).toEqual(['report.json', 'loss-recovered.svg', 'latent-survival.svg', 'drift-0.svg', 'drift-1.svg']);
    });

    it('takes an uploaded SAELens folder, fine-tuned where nothing says how it was trained', async () => {
      const { blobs } = jobs.published.get(sae)!;
      const upload = (name: string) => {
        const id = `art_${name}`;
        const blob = blobs.find((own) => own.name === name)!;
        jobs.published.set(id, { ...jobs.published.get(sae)!, blobs: [blob] });
        return id;
      };
      const files = { config: upload('cfg.json'), weights: upload('sae_weights.safetensors') };
      const contract = (await import('../../../shared/jobs/compression.study.ts')).default;
      expect(
        contract.params.safeParse({ model: { local: 'x' }, copies: [], sae: files, corpus: { texts } }).success,
      ).toBe(false);
      const { JOB_HANDLERS } = await import('../../../gpu-worker/jobs/index.generated.ts');
      const handler = await JOB_HANDLERS['compression.study']!();
      const params = {
        ...contract.params.parse({
          model: { local: 'tiny' },
          sae: { id: sae },
          copies: [{ label: 'wanda', model: { id: copy } }],
          corpus: { texts },
          tokens: 256,
          context: 16,
          loss_sequences: 4,
          hook,
          retrain: { steps: 20, batch: 64 },
        }),
        sae: files,
      };
      const { result } = await handler(jobs.context(params));
      expect(result).toMatchObject({ hook, copies: [{ retraining: 'fine-tuned' }] });
    });

    it('goes on at the copy where another attempt died, to the same report', async () => {
      const before = jobs.checkpoints.length;
      const whole = await study();
      const saved = jobs.checkpoints[before]!;
      expect(saved.state.copies).toBe(1);
      const again = await study({}, saved);
      expect(again.metrics.copies_resumed).toBe(1);
      expect(again.published[0]!.blobs).toEqual(whole.published[0]!.blobs);
      // Of another study nothing is taken over.
      expect((await study({ seed: 1 }, saved)).metrics.copies_resumed).toBe(0);
    });

    it('matches the L0 of a ReLU autoencoder by its coefficient, and fails where that was planted to be impossible', async () => {
      const trained = await jobs.run(saeTrain, {
        model: { local: 'tiny' },
        hook,
        corpus: { texts },
        saes: [{ variant: 'relu', width: 64, sparsity: 0.02 }],
        steps: 60,
        context: 16,
        batch: 64,
      });
      const relu = { id: await manifestId(trained.published.find(({ kind }) => kind === 'sae')!) };
      const copies = [{ label: 'wanda', model: { id: copy } }];
      const { result } = await study({ sae: relu, copies });
      const [{ coefficient, variants }] = result.copies as unknown as [
        { coefficient: number; variants: { l0: number }[] },
      ];
      expect(coefficient).toBeGreaterThan(0);
      expect(Math.abs(variants[1]!.l0 / variants[0]!.l0 - 1)).toBeLessThanOrEqual(0.1);
      // A single step from a random start keeps far more latents than sixty do, whatever the coefficient.
      const hasty = { sae: relu, copies, retrain: { steps: 1, batch: 64 } };
      await expect(study(hasty)).rejects.toMatchObject({
        code: 'data_invalid',
        message: /^\/copies\/0: L0 .*allow_unmatched/,
      });
      expect((await study({ ...hasty, allow_unmatched: true })).result.copies).toHaveLength(1);
    });

    it('refuses a copy of another shape, and an SAE of another model', async () => {
      await expect(study({ copies: [{ label: 'x', model: { local: 'other' } }] })).rejects.toThrow(
        /^\/copies\/0\/model: its family/,
      );
      await expect(study({ model: { id: copy } })).rejects.toMatchObject({
        message: expect.stringMatching(/allow_mismatch/),
        errors: [{ pointer: '/params/sae/id' }],
      });
    });
  });
});
