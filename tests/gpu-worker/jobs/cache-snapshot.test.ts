/** A model in the cache of Hugging Face's tools, where every file of a snapshot is a link into `blobs/`, by an alias. */
import { mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseOptions } from '../../../infra/dev/options.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import modelCompress from '../../../shared/jobs/model.compress.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

/** Moves the files of a folder into a cache and gives the snapshot back that links to them. */
function snapshotOf(folder: string, cache: string): string {
  const [blobs, snapshot] = [join(cache, 'blobs'), join(cache, 'snapshots', '0123456789abcdef')];
  mkdirSync(blobs, { recursive: true });
  mkdirSync(snapshot, { recursive: true });
  for (const [i, name] of readdirSync(folder).entries()) {
    const digest = String(i).padStart(64, 'b');
    renameSync(join(folder, name), join(blobs, digest));
    symlinkSync(join('..', '..', 'blobs', digest), join(snapshot, name));
  }
  return snapshot;
}

describe('a snapshot of links', () => {
  let plain: TinyModel;
  let linked: TinyModel;
  let jobs: LocalJobs;
  let snapshot: string;
  beforeAll(() => {
    [plain, linked] = [
      tinyModel(TINY.llama!, { tokenizer: wordTokenizer() }),
      tinyModel(TINY.llama!, { tokenizer: wordTokenizer() }),
    ];
    jobs = new LocalJobs({ models: { plain: plain.folder } });
    snapshot = snapshotOf(linked.folder, join(jobs.folder, 'models--tiny'));
    Object.assign(jobs.configuration.models, { linked: snapshot });
  });
  afterAll(() => {
    jobs.close();
    plain.remove();
    linked.remove();
  });
  const texts = ['w2 w3 w4 w5 w6', 'w9 w8 w7 w6'];

  it('is the model that its files are', async () => {
    const evaluate = async (local: string) =>
      (await jobs.run(lmEvaluate, { model: { local }, corpus: { texts } })).result;
    expect((await evaluate('linked')).runs).toEqual((await evaluate('plain')).runs);
    const [one, other] = jobs.described.slice(-2);
    expect(one!.digest).toBe(other!.digest);
  });

  it('is trained further and compressed', async () => {
    const corpus = { texts: Array.from({ length: 40 }, (_, i) => `w${2 + (i % 9)} w5 w6 w7 w8 w9`) };
    const trained = await jobs.run(lmTrain, { from: { local: 'linked' }, corpus, context: 8, batch: 4, steps: 2 });
    expect(trained.published[0]!.blobs.map(({ name }) => name)).toContain('model.safetensors');
    const made = { model: { local: 'linked' }, corpus, method: 'magnitude', share: 0.5, context: 8, tokens: 32 };
    const { published } = await jobs.run(modelCompress, { ...made, held_out_tokens: 16 });
    expect(published[0]!.blobs.map(({ name }) => name)).toContain('tokenizer.json');
  });

  it('may be what npm start is given', () => {
    expect(parseOptions(['--model', snapshot], jobs.folder)?.model).toEqual({
      alias: '0123456789abcdef',
      folder: snapshot,
    });
  });
});
