/** The text that is sent is the text that is used: alone in the model, token by token, and accounted for. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LanguageModel, loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import modelCompare from '../../../shared/jobs/model.compare.ts';
import modelCompress from '../../../shared/jobs/model.compress.ts';
import saeEncode from '../../../shared/jobs/sae.encode.ts';
import saeEvaluate from '../../../shared/jobs/sae.evaluate.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { gap, TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

const HOOK = 'resid_post.1';
const WINDOW = 8;
/** Of one to nineteen words, so that some go on in a second and a third window. */
const TEXTS = Array.from({ length: 20 }, (_, i) =>
  Array.from({ length: 1 + i }, (_, j) => `w${2 + ((7 * i + 3 * j) % 58)}`).join(' '),
);

describe('text of twenty documents', () => {
  let tiny: TinyModel;
  let model: LanguageModel;
  let jobs: LocalJobs;
  const corpus = { texts: TEXTS };
  const of = { model: { local: 'tiny' }, context: WINDOW };
  beforeAll(async () => {
    tiny = tinyModel(TINY.llama ?? {}, { tokenizer: wordTokenizer() });
    model = await loadModel(tiny.folder, { threads: 1 });
    jobs = new LocalJobs({ models: { tiny: tiny.folder } });
  });
  afterAll(async () => {
    await model.release();
    jobs.close();
    tiny.remove();
  });

  const encoded = () => TEXTS.map((text) => model.tokenizer?.encode(text) ?? []);
  /** Each window by itself, at every position. */
  async function alone(): Promise<{ id: number; document: number; position: number; x: Float32Array }[]> {
    const rows = [];
    for (const [document, ids] of encoded().entries()) {
      for (let at = 0; at < ids.length; at += WINDOW) {
        const window = ids.slice(at, at + WINDOW);
        const { taps } = await model.forward({ ids: [window], taps: [HOOK], logits: 'none' });
        for (const [i, id] of window.entries()) {
          const x = taps[HOOK]?.data.subarray(16 * i, 16 * (i + 1)) ?? new Float32Array();
          rows.push({ id, document, position: at + i, x });
        }
      }
    }
    return rows.filter(({ id }) => id > 1);
  }

  it('becomes rows that no other document changes, with what they are of beside them', async () => {
    const { result, published } = await jobs.run(activationsExtract, { ...of, hooks: [HOOK], corpus, batch: 5 });
    const [blob] = published[0]?.blobs ?? [];
    const file = readSafetensors(jobs.read(blob ?? expect.fail('no shard')));
    const ints = (name: string) => [...new Int32Array(Uint8Array.from(file.bytes(name)).buffer)];
    const expected = await alone();
    expect(ints('token_ids')).toEqual(expected.map(({ id }) => id));
    expect(ints('documents')).toEqual(expected.map(({ document }) => document));
    expect(ints('positions')).toEqual(expected.map(({ position }) => position));
    const values = expected.flatMap(({ x }) => [...x]);
    expect(gap(file.float32(HOOK), values)).toBeLessThan(1e-5);
    const words = TEXTS.join(' ').split(' ').length;
    expect(result.text!).toEqual({
      split: 'all',
      packing: 'documents',
      window: WINDOW,
      windows: encoded().reduce((sum, ids) => sum + Math.ceil(ids.length / WINDOW), 0),
      documents: { sent: 20, used: 20, left_out: {} },
      tokens: { sent: words + 20, used: words, left_out: { special: 20 } },
    });
  });

  it('is read in part where a split or a number of tokens says so, and the rest is told', async () => {
    const params = { ...of, hooks: [HOOK], corpus };
    const held = await jobs.run(activationsExtract, { ...params, split: 'held_out' });
    expect(held.result.text.documents).toEqual({ sent: 20, used: 2, left_out: { split: 18 } });
    expect(held.result.tokens).toBe(1 + 11);
    const few = await jobs.run(activationsExtract, { ...params, tokens: 4 });
    expect(few.result.text.documents).toEqual({ sent: 20, used: 3, left_out: { limit: 17 } });
    expect(few.result.text.tokens).toEqual({ sent: 230, used: 4, left_out: { special: 3, limit: 223 } });
  });

  it('is scored by its predictions, each document on its own', async () => {
    const { result } = await jobs.run(lmEvaluate, { ...of, corpus });
    let [total, count] = [0, 0];
    for (const ids of encoded()) {
      for (let at = 0; at < ids.length; at += WINDOW) {
        const window = ids.slice(at, at + WINDOW);
        const { losses } = await model.forward({ ids: [window], losses: true, logits: 'none' });
        for (const loss of losses?.subarray(0, window.length - 1) ?? []) {
          total += loss;
          count++;
        }
      }
    }
    expect(result.tokens).toBe(count);
    expect(result.runs[0]?.loss).toBeCloseTo(total / count, 5);
    const windows = encoded().reduce((sum, ids) => sum + Math.ceil(ids.length / WINDOW), 0);
    expect(result.text?.tokens).toEqual({ sent: 230, used: count, left_out: { first: windows } });
    expect(result.text?.documents.used).toBe(20);
  });

  it('is compared whole, and what a training reads of it is told', async () => {
    const { result } = await jobs.run(modelCompare, { ...of, other: of.model, corpus });
    const windows = encoded().reduce((sum, ids) => sum + Math.ceil(ids.length / WINDOW), 0);
    expect(result.text.tokens).toEqual({ sent: 230, used: 230 - windows, left_out: { first: windows } });
    const saes = [{ variant: 'topk', width: 32, k: 4 }];
    const train = {
      ...of,
      context: 7,
      hook: HOOK,
      corpus,
      saes,
      batch: 16,
      evaluation_tokens: 256,
      feature_dashboards: false,
    };
    // Documents 0 and 10 are held out; what is left is laid end to end, and the last window is not whole.
    const sides = encoded().map((ids, i) => ({ size: ids.length, held: i % 10 === 0 }));
    const size = (held: boolean) => sides.reduce((sum, one) => sum + (one.held === held ? one.size : 0), 0);
    const read = await jobs.run(saeTrain, { ...train, steps: 50 });
    const { text } = read.result;
    expect(text).toMatchObject({ split: 'train', packing: 'packed', windows: Math.floor(size(false) / 7) });
    expect(text?.documents).toEqual({ sent: 20, used: 18, left_out: { split: 2 } });
    const { used, sent, left_out } = text?.tokens ?? expect.fail('no account');
    expect(sent).toBe(230);
    expect(left_out).toEqual({ split: size(true), special: 18, tail: size(false) % 7 });
    expect(used).toBe(size(false) - 18 - (size(false) % 7));
    const held = read.result.held_out_text ?? expect.fail('no account');
    expect(held).toMatchObject({ split: 'held_out', windows: Math.floor(size(true) / 7) });
    expect(held.documents).toEqual({ sent: 20, used: 2, left_out: { split: 18 } });
    // Two whole windows, so that no tail is left.
    expect(held.tokens.left_out).toEqual({ split: size(false), special: 2 });
    const few = await jobs.run(saeTrain, { ...train, steps: 1 });
    expect(few.result.text?.tokens.used).toBe(16);
    const planted = await jobs.run(lmTrain, {
      layers: 1,
      width: 16,
      heads: 2,
      mlp_width: 16,
      batch: 2,
      context: 8,
      steps: 1,
    });
    expect(planted.result.text).toBeNull();
    const learned = await jobs.run(lmTrain, { from: of.model, corpus, batch: 2, context: WINDOW, steps: 1 });
    expect(learned.result.text?.tokens.sent).toBe(230);
    expect(learned.result.held_out_text?.documents).toEqual({ sent: 20, used: 2, left_out: { split: 18 } });
  });

  it('is told of where it calibrates a compression and where its errors are measured', async () => {
    const asked = { ...of, corpus, method: 'magnitude', share: 0.5, tokens: 3 * WINDOW, held_out_tokens: 5 * WINDOW };
    const { result } = await jobs.run(modelCompress, asked);
    const sizes = encoded().map(({ length }) => length);
    const heldOut = (sizes[0] ?? 0) + (sizes[10] ?? 0);
    expect(result.text).toMatchObject({ split: 'train', packing: 'packed', window: WINDOW, windows: 3 });
    const { sent, used, left_out } = result.text.tokens;
    expect([sent, used, left_out.split, left_out.first]).toEqual([230, 3 * (WINDOW - 1), heldOut, 3]);
    expect(used + 3 + heldOut + (left_out.limit ?? 0)).toBe(230);
    // One window fits into the two documents held out; the rest is too short for another.
    const windows = Math.floor(heldOut / WINDOW);
    expect(result.held_out_text.windows).toBe(windows);
    expect(result.held_out_text.tokens).toEqual({
      sent: 230,
      used: windows * (WINDOW - 1),
      left_out: { split: 230 - heldOut, first: windows + 1, tail: (heldOut % WINDOW) - 1 },
    });
    expect(result.held_out_text.documents).toEqual({ sent: 20, used: 2, left_out: { split: 18 } });
  });

  it('is told of pairs: prompts are read, completions learnt', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'sextant-pairs-')), 'pairs.jsonl');
    const rows = Array.from({ length: 20 }, (_, i) => ({ prompt: `w2 w3 w${4 + i}`, completion: `w${5 + i} w6` }));
    writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
    const own = new LocalJobs({ models: { tiny: tiny.folder }, corpora: { pairs: file } });
    try {
      const { result } = await own.run(lmTrain, {
        from: of.model,
        corpus: { local: 'pairs' },
        pairs: { prompt: 'prompt', completion: 'completion' },
        batch: 2,
        context: WINDOW,
        steps: 3,
      });
      // A beginning and three words, then two words: of each pair two tokens of six are learnt.
      expect(result.text).toMatchObject({ split: 'train', packing: 'documents', windows: 6 });
      expect(result.text?.documents).toEqual({ sent: 20, used: 6, left_out: { split: 2, limit: 12 } });
      expect(result.text?.tokens).toEqual({
        sent: 120,
        used: 12,
        left_out: { split: 12, limit: 72, prompt: 24 },
      });
      expect(result.held_out_text?.documents).toEqual({ sent: 20, used: 2, left_out: { split: 18 } });
    } finally {
      own.close();
    }
  });

  it('is encoded and evaluated on the very rows that are extracted', async () => {
    const saes = [{ variant: 'topk', width: 32, k: 4 }];
    const train = { ...of, hook: HOOK, corpus, saes, steps: 3, batch: 16, evaluation_tokens: 256 };
    const trained = await jobs.run(saeTrain, { ...train, corpus: { sampled: { seed: 1 } }, feature_dashboards: false });
    const sae = trained.result.saes[0]?.id ?? '';
    const { result } = await jobs.run(saeEncode, { ...of, sae, texts: TEXTS });
    const extracted = await jobs.run(activationsExtract, { ...of, hooks: [HOOK], corpus });
    const rows = result.texts.flatMap(({ document, tokens }) =>
      tokens.map(({ id, position }) => ({ id, document, position })),
    );
    expect(rows).toEqual((await alone()).map(({ x, ...row }) => row));
    expect(result.text).toEqual(extracted.result.text);
    const evaluated = await jobs.run(saeEvaluate, { ...of, saes: [sae], corpus, tokens: 256, loss_sequences: 64 });
    expect(evaluated.result.tokens).toBe(rows.length);
    expect(evaluated.result.text).toEqual(extracted.result.text);
    expect(evaluated.result.saes[0]?.loss?.tokens).toBe(230 - result.text!.windows);
  });
});
