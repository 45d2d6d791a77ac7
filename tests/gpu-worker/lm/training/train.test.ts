import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { evaluate, type Feed, gradients } from '../../../../gpu-worker/graph/index.ts';
import { repeated } from '../../../../gpu-worker/lm/corpus/sequences.ts';
import { crossEntropy } from '../../../../gpu-worker/lm/evaluate.ts';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { type TrainingSequence, trainLanguageModel } from '../../../../gpu-worker/lm/training/train.ts';
import { lossGraph } from '../../../../gpu-worker/lm/training/training-graph.ts';
import { weightGradients } from '../../../../gpu-worker/lm/training/weight-gradients.ts';
import { readFolder, readWeight } from '../../../../gpu-worker/lm/weights/folder.ts';
import { gap, randomRows, TINY, tinyModel } from '../../../support/tiny-model.ts';

const config = { ...TINY.llama!, attention_bias: false, tie_word_embeddings: true };

/** Counting modulo 7 from a random start: after one token the rest is known. */
function* counting(rows = 64): Generator<TrainingSequence> {
  for (let row = 0; row < rows; row++) {
    yield { ids: Array.from({ length: 13 }, (_, i) => 2 + ((row * 3 + i) % 7)) };
  }
}
const common = { context: 12, batch: 8, threads: 1, learningRate: 0.01, sequences: repeated(() => counting()) };

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sextant-train-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'model');
}

describe('training from scratch', () => {
  it('learns, saves a folder that loads, and gives the same model for the same seed', async () => {
    const options = () => ({ ...common, from: { config }, steps: 80, sequences: repeated(() => counting()) });
    const trained = await trainLanguageModel(options());
    expect(trained.losses.length).toBe(80);
    expect(trained.losses[0]).toBeGreaterThan(3.5);
    expect(trained.losses.at(-1)).toBeLessThan(0.5);
    const folder = scratch();
    trained.save(folder);
    const model = await loadModel(folder, { threads: 1 });
    const { loss } = await crossEntropy(
      model,
      [...counting(8)].map(({ ids }) => ids),
    );
    await model.release();
    expect(Math.abs(loss - trained.losses.at(-1)!)).toBeLessThan(0.2);
    const again = await trainLanguageModel(options());
    expect(again.losses).toEqual(trained.losses);
    const other = await trainLanguageModel({ ...options(), seed: 1, steps: 2 });
    expect(other.losses[0]).not.toBe(trained.losses[0]);
  });

  it('refuses too little text, sequences of another length, and nothing to train', async () => {
    const from = { config };
    await expect(trainLanguageModel({ ...common, from, steps: 2, sequences: [...counting(7)] })).rejects.toMatchObject({
      code: 'data_invalid',
    });
    await expect(trainLanguageModel({ ...common, from, steps: 2, context: 11 })).rejects.toMatchObject({
      code: 'data_invalid',
    });
    await expect(trainLanguageModel({ ...common, from, steps: 2, freeze: ['*'] })).rejects.toMatchObject({
      code: 'data_invalid',
    });
    await expect(trainLanguageModel({ ...common, from, steps: 2, context: 33 })).rejects.toMatchObject({
      code: 'context_exceeded',
    });
  });
});

describe('a saved config', () => {
  it('writes soft caps as transformers wants them: never as whole numbers', () => {
    const { folder, remove } = tinyModel({ ...TINY.gemma2!, attn_logit_softcapping: 50, final_logit_softcapping: 2.5 });
    const text = readFileSync(join(folder, 'config.json'), 'utf8');
    expect(text).toContain('"attn_logit_softcapping": 50.0,');
    expect(text).toContain('"final_logit_softcapping": 2.5,');
    expect(readFolder(folder).architecture).toMatchObject({ attentionCap: 50, logitCap: 2.5 });
    remove();
  });
});

describe('a model too large for one file', () => {
  it('is saved in several with an index, and opens with the same weights', async () => {
    const trained = await trainLanguageModel({ ...common, from: { config }, steps: 1, sequences: counting() });
    const [whole, split] = [scratch(), scratch()];
    trained.save(whole);
    trained.save(split, { shardBytes: 12_000 });
    const [one, several] = [readFolder(whole), readFolder(split)];
    expect(new Set([...several.stored.values()].map(({ file }) => file)).size).toBeGreaterThan(1);
    for (const file of readdirSync(split)) {
      if (file.endsWith('.safetensors')) {
        expect(statSync(join(split, file)).size).toBeLessThanOrEqual(12_000);
      }
    }
    for (const name of one.stored.keys()) {
      expect(gap(readWeight(one, name), readWeight(several, name))).toBe(0);
    }
  });
});

describe('a token that counts nothing', () => {
  it('changes no gradient: neither does what follows it', async () => {
    const { folder, remove } = tinyModel(config);
    const run = async (tail: number) => {
      const sequences = repeated(() =>
        [...counting()].map(({ ids }) => ({
          ids: Array.from(ids, (id, i) => (i > 6 ? tail + (i % 3) : id)),
          weights: Array.from(ids, (_, i) => Number(i > 2 && i <= 6)),
        })),
      );
      return trainLanguageModel({ ...common, from: { folder }, steps: 3, weighted: true, sequences });
    };
    const [one, two] = [await run(20), await run(50)];
    expect(one.losses).toEqual(two.losses);
    const unseen = readFolder(folder);
    for (const name of unseen.stored.keys()) {
      expect([name, gap(one.values(name), two.values(name))]).toEqual([name, 0]);
    }
    remove();
  });
});

describe('fine-tuning', () => {
  it('moves what is not frozen and nothing else', async () => {
    const { folder, remove } = tinyModel(config);
    const tuned = await trainLanguageModel({
      ...common,
      from: { folder },
      steps: 4,
      freeze: ['model.embed_tokens.*', /mlp\./],
    });
    const before = readFolder(folder);
    for (const name of before.stored.keys()) {
      const moved = gap(tuned.values(name), readWeight(before, name));
      if (/embed_tokens|mlp\./.test(name)) {
        expect(moved).toBe(0);
      } else {
        expect(moved).toBeGreaterThan(0);
      }
    }
    remove();
  });

  it('counts only what the mask leaves', async () => {
    const { folder, remove } = tinyModel(config);
    const masked = (keep: number) =>
      repeated(() =>
        [...counting()].map(({ ids }) => ({
          ids: Array.from(ids, (id, i) => (i > keep ? 60 : id)),
          weights: Array.from(ids, (_, i) => Number(i <= keep)),
        })),
      );
    const run = async (sequences: AsyncIterable<TrainingSequence>) =>
      (await trainLanguageModel({ ...common, from: { folder }, steps: 1, weighted: true, sequences })).losses[0]!;
    const half = await run(masked(6));
    // What lies behind the mask does not matter, since attention looks back only.
    const model = await loadModel(folder, { threads: 1 });
    const { loss } = await crossEntropy(
      model,
      [...counting(8)].map(({ ids }) => Array.from(ids).slice(0, 7)),
    );
    await model.release();
    expect(half).toBeCloseTo(loss, 4);
    await expect(run(masked(0))).rejects.toMatchObject({ code: 'data_invalid' });
    remove();
  });
});

/** One layer is enough, but for families whose layers differ in kind. */
const SHALLOW: Record<string, object> = { gpt2: { n_layer: 1 }, gpt_neo: {}, olmo3: {} };

describe.each(Object.entries(TINY))('gradients of a random %s', (_name, tiny) => {
  it('agree with float64', async () => {
    const { folder, remove } = tinyModel({
      ...tiny,
      ...(SHALLOW[String(tiny.model_type)] ?? { num_hidden_layers: 1 }),
    });
    const model = readFolder(folder);
    const rows = randomRows([6]);
    const found = await weightGradients(model, rows);
    const { loss, parameters } = lossGraph(model.architecture, model.weights, { batch: 1, seq: 5 });
    const names = [...parameters.keys()];
    const feeds: Record<string, Feed> = {
      ids: { shape: [1, 5], data: rows[0]!.slice(0, 5) },
      labels: { shape: [1, 5], data: rows[0]!.slice(1) },
    };
    for (const [name, parameter] of parameters) {
      feeds[name] = { shape: parameter.shape as number[], data: readWeight(model, name) };
    }
    const exact = evaluate([loss, ...gradients(loss, [...parameters.values()])], feeds);
    expect(Math.abs(found.loss - exact[0]!.data[0]!)).toBeLessThan(1e-5);
    for (const [i, name] of names.entries()) {
      const largest = exact[i + 1]!.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-3);
      expect(gap(found.gradients.get(name)!, exact[i + 1]!.data) / largest, name).toBeLessThan(2e-5);
    }
    remove();
  });
});
