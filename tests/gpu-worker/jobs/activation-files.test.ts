/** Autoencoders trained, measured and applied on activations in files, of our own extraction and of others. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import saeEncode from '../../../shared/jobs/sae.encode.ts';
import saeEvaluate from '../../../shared/jobs/sae.evaluate.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { arrowFile, npyFile } from '../../support/row-files.ts';
import { TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

const HOOK = 'resid_post.1';

describe('activations in files', () => {
  let tiny: TinyModel;
  let jobs: LocalJobs;
  let whole: string;
  /** Trained on it. */
  let own: Awaited<ReturnType<typeof train>>;
  const extraction = {
    model: { local: 'tiny' },
    hooks: [HOOK],
    corpus: { local: 'words' },
    context: 16,
    batch: 7,
    tokens: 3500,
    shard_tokens: 1024,
  };
  const training = {
    saes: [{ variant: 'abstopk', width: 40, k: 4 }],
    batch: 64,
    steps: 12,
    evaluation_tokens: 256,
    feature_dashboards: false,
  };
  const extract = async (more: Record<string, unknown> = {}) => {
    const outcome = await jobs.run(activationsExtract, { ...extraction, ...more });
    return { ...outcome, id: await manifestId(outcome.published[0]!) };
  };
  const shards = (id: string) => jobs.published.get(id)!.blobs.map((blob) => readSafetensors(jobs.read(blob)));
  const joined = (ids: readonly string[], name: string) =>
    ids.flatMap(shards).flatMap((file) => [...file.float32(name)]);
  const blobOf = (manifest: Manifest, name: string) => manifest.blobs.find((blob) => blob.name === name)!;
  const train = async (artefacts: readonly (string | { artefact: string; tensor: string })[], more = {}) => {
    const activations = artefacts.map((of) => (typeof of === 'string' ? { artefact: of } : of));
    const { result, published } = await jobs.run(saeTrain, { ...training, activations, ...more });
    return { result, manifest: published[0]!, weights: blobOf(published[0]!, 'sae_weights.safetensors').sha256 };
  };

  beforeAll(async () => {
    tiny = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
    jobs = new LocalJobs({ models: { tiny: tiny.folder } });
    const words = (i: number) => Array.from({ length: 1 + (i % 40) }, (_, j) => `w${2 + ((i * j + i) % 58)}`).join(' ');
    writeFileSync(join(jobs.folder, 'words.txt'), Array.from({ length: 300 }, (_, i) => words(i)).join('\n\n'));
    Object.assign(jobs.configuration.corpora, { words: join(jobs.folder, 'words.txt') });
    whole = (await extract()).id;
    own = await train([whole]);
  }, 60_000);
  afterAll(() => {
    jobs.close();
    tiny.remove();
  });

  it('parts hold the rows of one run, bit for bit, and their accounts add up', async () => {
    const parts = [];
    for (let index = 0; index < 3; index++) {
      parts.push(await extract({ part: { index, of: 3 } }));
    }
    const ids = parts.map(({ id }) => id);
    for (const name of ['token_ids', 'documents', 'positions', HOOK]) {
      expect(joined(ids, name), name).toEqual(joined([whole], name));
    }
    const rows = parts.map(({ result }) => result.tokens);
    expect(Math.min(...rows)).toBeGreaterThan(800);
    expect(rows.reduce((a, b) => a + b)).toBe(3500);
    for (const { result } of parts) {
      expect(result.text.tokens.used).toBe(result.tokens);
      expect(result.text.tokens.left_out.part).toBe(3500 - result.tokens);
    }
    expect((await train(ids)).weights).toBe(own.weights);
    expect((await train([ids[1]!, ids[0]!, ids[2]!])).weights).not.toBe(own.weights);
    await expect(extract({ part: { index: 0, of: 1000 } })).rejects.toThrow(/too few for 1000 parts/);
  });

  it('trained on our own shards an autoencoder belongs to their model and hook point', async () => {
    const { result, manifest } = own;
    const described = jobs.described[0]!;
    expect(manifest).toMatchObject({ hook: HOOK, model_digest: described.digest });
    expect(result.rows).toEqual({
      files: 4,
      sent: 3500,
      used: 12 * 64,
      left_out: { held_out: 256, limit: 3500 - 256 - 12 * 64 },
    });
    const of = { model: { local: 'tiny' }, saes: [result.saes[0]!.id], corpus: { local: 'words' } };
    const evaluated = await jobs.run(saeEvaluate, of);
    expect(evaluated.result.saes[0]!.mismatch).toEqual([]);
  });

  it('gives the same weights from any format and any cut, and other weights from another seed', async () => {
    const x = Float32Array.from(joined([whole], HOOK));
    const width = x.length / 3500;
    const rows = (from: number, to: number) => x.slice(from * width, to * width);
    const npy = jobs.upload('a.npy', npyFile(rows(0, 1001), { shape: [1001, width] }));
    const arrow = jobs.upload('b.arrow', arrowFile(rows(1001, 3000), width));
    const rest = jobs.upload('c.npy', npyFile(rows(3000, 3500), { shape: [500, width], dtype: '<f8' }));
    const foreign = await train([npy, arrow, rest]);
    const values = (manifest: Manifest) =>
      readSafetensors(jobs.read(blobOf(manifest, 'sae_weights.safetensors'))).float32('W_enc');
    expect(values(foreign.manifest)).toEqual(values(own.manifest));
    expect(foreign.manifest).toMatchObject({ hook: null, model_digest: null });
    expect((await train([whole], { seed: 1 })).weights).not.toBe(own.weights);
  });

  it('measures and encodes rows as a model would give them', async () => {
    const { result } = own;
    const sae = result.saes[0]!.id;
    const activations = [{ artefact: whole }];
    const { result: measured } = await jobs.run(saeEvaluate, { saes: [sae], activations, tokens: 3500 });
    const text = { model: { local: 'tiny' }, corpus: { local: 'words' }, context: 16, tokens: 3500 };
    const { result: read } = await jobs.run(saeEvaluate, { ...text, saes: [sae], loss_sequences: 0 });
    expect(measured.saes[0]!.fvu).toBeCloseTo(read.saes[0]!.fvu!, 6);
    expect(measured.saes[0]!.l0).toBe(read.saes[0]!.l0);
    expect(measured).toMatchObject({ tokens: 3500, text: null, rows: { sent: 3500, used: 3500, left_out: {} } });
    const sampled = await jobs.run(saeEvaluate, { saes: [sae], activations, tokens: 512 });
    expect(sampled.result.rows).toMatchObject({ used: 512, left_out: { limit: 2988 } });

    const { result: encoded, published } = await jobs.run(saeEncode, { sae, activations });
    expect(encoded).toMatchObject({ rows: { sent: 3500, used: 3500 }, shards: 1, texts: [] });
    const file = readSafetensors(jobs.read(published[0]!.blobs[0]!));
    expect(file.shape('starts')).toEqual([3501]);
    expect(file.shape('errors')).toEqual([3500]);
    const [latents, codes] = [file.float32('latents'), file.float32('codes')];
    for (const { row, codes: own } of encoded.first_rows) {
      const stored = own.map(({ latent }) => latent).sort((a, b) => a - b);
      expect([...latents.subarray(4 * row, 4 * row + 4)]).toEqual(stored);
      const strongest = Math.max(...codes.subarray(4 * row, 4 * row + 4).map(Math.abs));
      expect(Math.abs(own[0]!.code)).toBe(strongest);
    }
  });

  it('refuses both sources, none, and what needs a model', () => {
    const activations = [{ artefact: whole }];
    const issues = (contract: typeof saeTrain | typeof saeEvaluate | typeof saeEncode, params: unknown) =>
      contract.params.safeParse(params).error?.issues.map(({ path }) => path.join('/')) ?? [];
    expect(issues(saeTrain, training)).toEqual(['model', 'hook', 'corpus']);
    expect(issues(saeTrain, { ...training, activations, hook: HOOK })).toEqual(['hook']);
    const sae = `sae_${'a'.repeat(52)}`;
    const spelling = {};
    expect(issues(saeEvaluate, { saes: [sae], activations, spelling })).toEqual(['spelling']);
    expect(issues(saeEncode, { sae, activations, texts: ['a'] })).toEqual(['texts']);
    expect(issues(saeEncode, { sae })).toEqual(['model', 'texts']);
  });

  it('refuses an autoencoder of another hook point or width, and a report without activations', async () => {
    const { result } = own;
    const sae = result.saes[0]!.id;
    const other = await extract({ hooks: ['resid_post.0'], tokens: 300 });
    await expect(jobs.run(saeEncode, { sae, activations: [{ artefact: other.id }] })).rejects.toThrow(
      /trained for hook/,
    );
    const narrow = jobs.upload('n.npy', npyFile(new Float32Array(30), { shape: [10, 3] }));
    await expect(jobs.run(saeEncode, { sae, activations: [{ artefact: narrow }] })).rejects.toThrow(/rows have 3/);
    const evaluated = await jobs.run(saeEvaluate, { saes: [sae], activations: [{ artefact: whole }] });
    const report = [{ artefact: evaluated.result.report }];
    await expect(jobs.run(saeEncode, { sae, activations: report })).rejects.toThrow(/stores no activations/);
  });
});
