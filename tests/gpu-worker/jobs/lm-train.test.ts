/** `lm.train` on texts: new models and models trained further, whole or in part, on all or on completions only. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crossEntropy } from '../../../gpu-worker/lm/evaluate.ts';
import { loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { readFolder, readWeight } from '../../../gpu-worker/lm/weights/folder.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { gap, TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

const SIZES = { layers: 2, width: 32, heads: 4, mlp_width: 64, batch: 16, learning_rate: 0.01 };
/** Counting words up from a start that differs: what follows is known. */
const counting = (start: number, words = 12) => Array.from({ length: words }, (_, i) => `w${2 + ((start + i) % 20)}`);

describe('lm.train', () => {
  let tiny: TinyModel;
  let jobs: LocalJobs;
  const texts = Array.from({ length: 60 }, (_, i) => counting(7 * i).join(' '));
  beforeAll(() => {
    tiny = tinyModel({ ...TINY.llama!, tie_word_embeddings: true }, { tokenizer: wordTokenizer() });
    jobs = new LocalJobs({ models: { tiny: tiny.folder } });
    const write = (name: string, rows: unknown[]) => {
      const path = join(jobs.folder, `${name}.jsonl`);
      writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
      Object.assign(jobs.configuration.corpora, { [name]: path });
    };
    write(
      'lines',
      texts.map((text) => ({ text })),
    );
    // Prompts say nothing of each other; completions repeat the prompt's last word.
    const pair = (i: number) => ({ ask: `w${2 + (i % 7)} w${2 + ((i * 3) % 7)}`, say: `w${2 + ((i * 3) % 7)} w40` });
    write(
      'pairs',
      Array.from({ length: 80 }, (_, i) => pair(i)),
    );
    write(
      'other-pairs',
      Array.from({ length: 80 }, (_, i) => ({ ask: pair(i).ask, say: `${pair(i).say} w41` })),
    );
    write('long-pairs', [{ ask: 'w2', say: counting(0, 40).join(' ') }]);
  });
  afterAll(() => {
    jobs.close();
    tiny.remove();
  });

  /** The files of a published model side by side, as a user who downloads them has them. */
  function folderOf(manifest: Manifest): string {
    const folder = join(jobs.folder, `folder-${manifest.model_digest!.slice(0, 12)}`);
    mkdirSync(folder, { recursive: true });
    for (const blob of manifest.blobs) {
      writeFileSync(join(folder, blob.name), jobs.read(blob));
    }
    return folder;
  }

  it('learns texts from scratch byte by byte, and what it saves reads them', async () => {
    const { result, published } = await jobs.run(lmTrain, {
      ...SIZES,
      corpus: { texts: Array.from({ length: 40 }, (_, i) => `${'né '.repeat(3 + (i % 5))}end`) },
      context: 16,
      steps: 120,
    });
    expect(result).toMatchObject({
      tokenizer: 'bytes',
      held_out_loss_before: null,
      entropy_rate: null,
      ideal_loss: null,
    });
    expect(result.held_out_loss).toBeLessThan(0.25 * Math.log(258));
    // The edge knows the model before any job has opened it, and in the words of one that opens it.
    const described = jobs.described.find(({ key }) => key === result.model);
    jobs.described.length = 0;
    await jobs.run(lmEvaluate, { model: { id: result.model }, prompts: ['né'] });
    expect(jobs.described).toEqual([described]);
    const model = await loadModel(folderOf(published[0]!), { threads: 1 });
    const { loss } = await crossEntropy(model, [model.tokenizer!.encode('né né né né end')]);
    await model.release();
    expect(loss).toBeLessThan(0.25 * Math.log(258));
    expect(published[0]!.body.parent).toBeNull();
  });

  it('takes the tokenizer of a model for a new one, from a file and an uploaded artefact alike', async () => {
    const params = { ...SIZES, context: 12, steps: 60, tokenizer: { local: 'tiny' }, corpus: { local: 'lines' } };
    const { result, published } = await jobs.run(lmTrain, params);
    expect(result).toMatchObject({ tokenizer: 'model', held_out_unseen: true });
    expect(result.held_out_loss).toBeLessThan(1);
    // Only the vocabulary is the other model's.
    expect(readFolder(folderOf(published[0]!)).architecture).toMatchObject({ vocabulary: 61, width: 32 });
    const inline = await jobs.run(lmTrain, { ...params, corpus: { texts } });
    expect(inline.result.held_out_loss).toBe(result.held_out_loss);
  });

  it('trains a model further: loss falls, the parent is named, and frozen weights keep their bits', async () => {
    const frozen = /embed_tokens|mlp\./;
    const { result, published } = await jobs.run(lmTrain, {
      from: { local: 'tiny' },
      corpus: { local: 'lines' },
      context: 12,
      batch: 16,
      steps: 40,
      learning_rate: 0.01,
      freeze: ['model.embed_tokens.*', '*.mlp.*'],
    });
    expect(result.held_out_loss).toBeLessThan(0.8 * result.held_out_loss_before!);
    const manifest = published[0]!;
    expect(manifest.body.parent).toMatchObject({
      reference: 'local:tiny',
      revision: expect.stringMatching(/^[0-9a-f]{64}$/),
      held_out_loss: result.held_out_loss_before,
    });
    expect(manifest.params).not.toHaveProperty('from');
    const [before, after] = [readFolder(tiny.folder), readFolder(folderOf(manifest))];
    let trained = 0;
    for (const name of before.stored.keys()) {
      const moved = gap(readWeight(after, name), readWeight(before, name));
      if (frozen.test(name)) {
        expect([name, moved]).toEqual([name, 0]);
      } else {
        expect([name, moved > 0]).toEqual([name, true]);
        trained += readWeight(before, name).length;
      }
    }
    expect(result.trained_parameters).toBe(trained);
    // What the parent's folder held besides its weights is there again.
    expect(manifest.blobs.map(({ name }) => name)).toContain('tokenizer_config.json');
    // Its loss before is what lm.evaluate measures on the parent.
    const evaluated = await jobs.run(lmEvaluate, {
      model: { local: 'tiny' },
      corpus: { local: 'lines' },
      context: 13,
      tokens: 65_536,
      split: 'held_out',
      packing: 'packed',
    });
    expect(evaluated.result.runs[0]!.loss).toBeCloseTo(result.held_out_loss_before!, 5);
  });

  it('a published model is trained further by its id, and both are told apart', async () => {
    const first = await jobs.run(lmTrain, { ...SIZES, corpus: { texts }, context: 12, steps: 10 });
    const second = await jobs.run(lmTrain, {
      from: { id: first.result.model },
      corpus: { texts },
      context: 12,
      batch: 16,
      steps: 10,
    });
    expect(second.published[0]!.model).toBe(first.result.model);
    expect(second.published[0]!.body.parent).toMatchObject({ revision: first.result.model });
    expect(second.result.held_out_loss_before).toBeCloseTo(first.result.held_out_loss, 6);
  });

  it('learns completions only', async () => {
    const params = {
      from: { local: 'tiny' },
      pairs: { prompt: 'ask', completion: 'say' },
      context: 8,
      batch: 16,
      learning_rate: 0.01,
    };
    const { result } = await jobs.run(lmTrain, { ...params, corpus: { local: 'pairs' }, steps: 80 });
    // Eight held-out pairs of two completed words each; this tokenizer names no end-of-sequence token.
    expect(result.held_out_tokens).toBe(16);
    expect(result.held_out_loss).toBeLessThan(0.4 * result.held_out_loss_before!);
    // An oracle for the loss before: the completions' own losses in plain forward passes.
    const model = await loadModel(tiny.folder, { threads: 1 });
    const held = Array.from({ length: 8 }, (_, i) => 10 * i).map((i) =>
      model.tokenizer!.encode(`w${2 + (i % 7)} w${2 + ((i * 3) % 7)} w${2 + ((i * 3) % 7)} w40`),
    );
    const { losses } = await model.forward({ ids: held, losses: true, logits: 'none' });
    await model.release();
    // BOS and two words of prompt: the completion is predicted at positions 2 and 3.
    const mean = held.reduce((sum, _, r) => sum + losses![5 * r + 2]! + losses![5 * r + 3]!, 0) / 16;
    expect(result.held_out_loss_before).toBeCloseTo(mean, 5);
    const other = await jobs.run(lmTrain, { ...params, corpus: { local: 'other-pairs' }, steps: 1 });
    expect(other.result.held_out_tokens).toBe(24);
  });

  it('gives the same model for the same seed, another for another', async () => {
    const params = { from: { local: 'tiny' }, corpus: { texts }, context: 12, batch: 8, steps: 3 };
    const ids = [];
    for (const seed of [1, 1, 2]) {
      ids.push((await jobs.run(lmTrain, { ...params, seed })).published[0]!.model_digest);
    }
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it('learns a model’s own samples', async () => {
    const params = { corpus: { sampled: { seed: 0, temperature: 1 } }, context: 12, batch: 8, steps: 3 };
    const { result } = await jobs.run(lmTrain, { ...params, from: { local: 'tiny' } });
    expect(result.held_out_loss).toBeGreaterThan(0);
    await expect(jobs.run(lmTrain, params)).rejects.toMatchObject({ code: 'data_invalid' });
  });

  it.each([
    [{ from: { local: 'tiny' }, layers: 5 }, 'data_invalid', /sizes of its own/, '/params/layers'],
    [{ from: { local: 'tiny' }, corpus: { planted: { seed: 0 } } }, 'data_invalid', /the generated language has/],
    [{ from: { local: 'tiny' }, context: 40 }, 'context_exceeded', /40 tokens/],
    [{ from: { local: 'tiny' }, freeze: ['model.layers.9.*'] }, 'data_invalid', /'model.layers.9.\*' fits no weight/],
    [{ from: { local: 'tiny' }, freeze: ['*'] }, 'data_invalid', /no weight to train/],
    [{ from: { local: 'nobody' } }, 'model_unknown', /nobody/],
    [{ pairs: {} }, 'data_invalid', /file of JSON lines/],
    [{ pairs: {}, corpus: { local: 'pairs' } }, 'data_invalid', /no text field 'prompt'/],
    [
      { pairs: { prompt: 'ask', completion: 'say' }, corpus: { local: 'long-pairs' }, from: { local: 'tiny' } },
      'context_exceeded',
      /line 1 of the corpus has 42 tokens; 13 fit/,
    ],
    [{ corpus: { texts: ['a'] }, context: 100 }, 'data_invalid', /sequence has 2 tokens/],
  ] as [object, string, RegExp, string?][])('refuses %j', async (wrong, code, message, pointer) => {
    const params = { corpus: { texts }, context: 12, batch: 8, steps: 2, ...wrong };
    await expect(jobs.run(lmTrain, params)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      ...(pointer && { errors: [expect.objectContaining({ pointer, code })] }),
    });
  });
});

describe('lm.evaluate', () => {
  let tiny: TinyModel;
  let other: TinyModel;
  let jobs: LocalJobs;
  beforeAll(() => {
    tiny = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
    other = tinyModel(TINY.qwen3!, { tokenizer: wordTokenizer(), seed: 2 });
    const smaller = { ...TINY.llama!, vocab_size: 64 };
    const odd = tinyModel(smaller, { tokenizer: wordTokenizer() });
    jobs = new LocalJobs({ models: { tiny: tiny.folder, other: other.folder, odd: odd.folder } });
  });
  afterAll(() => {
    jobs.close();
    tiny.remove();
    other.remove();
  });

  it('answers with accuracy, logit difference and divergence from a reference', async () => {
    const model = await loadModel(tiny.folder, { threads: 1 });
    const prompts = ['w3 w4', 'w9', 'w20 w21 w22'];
    const rows: number[][] = [];
    for (const prompt of prompts) {
      const { logits } = await model.forward({ ids: [model.tokenizer!.encode(prompt)], logits: 'last' });
      rows.push([...logits!.data]);
    }
    await model.release();
    // The first two answers are what the model says, the third is what it deems least likely.
    const best = (row: number[]) => row.indexOf(Math.max(...row.slice(2)));
    const worst = (row: number[]) => row.indexOf(Math.min(...row.slice(2)));
    const tokens = [best(rows[0]!), best(rows[1]!), worst(rows[2]!)];
    const expected = rows.reduce((sum, row, i) => sum + row[tokens[i]!]! - row[5]!, 0) / 3;
    const params = {
      model: { local: 'tiny' },
      prompts,
      answers: tokens.map((token) => ({ token: `w${token}`, other: 'w5' })),
      corpus: { texts: [counting(0, 30).join(' ')] },
      context: 10,
    };
    const run = async (reference: unknown) => (await jobs.run(lmEvaluate, { ...params, reference })).result.runs[0]!;
    const plain = await run(null);
    expect(plain.accuracy).toBeCloseTo(
      tokens.filter((t, i) => rows[i]!.indexOf(Math.max(...rows[i]!)) === t).length / 3,
    );
    expect(plain.logit_difference).toBeCloseTo(expected, 4);
    expect(plain.reference_kl).toBeNull();
    expect((await run({ local: 'tiny' })).reference_kl).toBe(0);
    expect((await run({ local: 'other' })).reference_kl).toBeGreaterThan(0.1);
    await expect(run({ local: 'odd' })).rejects.toMatchObject({ code: 'tokenizer_mismatch' });
  });

  it.each([[{ answers: [{ token: 'w3 w4' }, { token: 'w3' }] }, /'w3 w4' is 2 tokens/, '/params/answers/0/token']])(
    'refuses %j',
    async (wrong, message, pointer) => {
      const params = { model: { local: 'tiny' }, prompts: ['w3', 'w4'], ...wrong };
      await expect(jobs.run(lmEvaluate, params)).rejects.toMatchObject({
        message: expect.stringMatching(message),
        errors: [expect.objectContaining({ pointer })],
      });
    },
  );
});
