/** A few prompts read at once: the rows of the job that reads corpora, and views that agree with the model's own passes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import activationsRead, { ACTIVATIONS_FILE } from '../../../shared/jobs/activations.read.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

let tiny: TinyModel;
let jobs: LocalJobs;
const model = { local: 'tiny' };
const prompts = ['w3 w7 w9', 'w5', 'w4 w4 w8 w20 w30'];
const hooks = ['resid_post.0', 'mlp_act.1'];

beforeAll(() => {
  tiny = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
  jobs = new LocalJobs({ models: { tiny: tiny.folder } });
});
afterAll(() => {
  jobs.close();
  tiny.remove();
});

async function read(params: Record<string, unknown>) {
  const { result } = await jobs.run(activationsRead, { model, prompts, ...params });
  const file = readSafetensors(jobs.read(jobs.artefacts.findLast(({ name }) => name === ACTIVATIONS_FILE)!));
  return { result, file };
}
const int32 = (bytes: Uint8Array) => [...new Int32Array(Uint8Array.from(bytes).buffer)];

it('gives the rows that activations.extract gives of the same texts', async () => {
  const { result, file } = await read({ hooks });
  const { published } = await jobs.run(activationsExtract, { model, hooks, corpus: { texts: prompts } });
  const shard = readSafetensors(jobs.read(published[0]!.blobs[0]!));
  for (const name of ['token_ids', 'documents', 'positions']) {
    expect(int32(file.bytes(name))).toEqual(int32(shard.bytes(name)));
  }
  for (const hook of hooks) {
    expect(file.shape(hook)).toEqual(shard.shape(hook));
    expect(file.bytes(hook)).toEqual(shard.bytes(hook));
  }
  expect(result.rows.map(({ text }) => text).join(' ')).toBe(prompts.join(' '));
  expect(result.rows.map(({ document }) => document)).toEqual([0, 0, 0, 1, 2, 2, 2, 2, 2]);
});

it('gives the rows of single positions', async () => {
  const { result: all } = await read({ hooks });
  const { result: last, file } = await read({ hooks, positions: 'last' });
  expect(last.rows.map(({ text }) => text)).toEqual(['w9', 'w5', 'w30']);
  expect(file.shape('resid_post.0')).toEqual([3, 16]);
  expect((await read({ hooks, positions: [-1] })).result.rows).toEqual(last.rows);
  const [first] = all.rows;
  expect((await read({ hooks, positions: [first!.position] })).result.rows.map(({ text }) => text)).toEqual([
    'w3',
    'w5',
    'w4',
  ]);
});

it('shows through the logit lens what the model says after its last layer, and its attention patterns', async () => {
  const { result, file } = await read({ logit_lens: { top: 3 }, patterns: [1] });
  const opened = await loadModel(tiny.folder, { threads: 1 });
  const ids = opened.tokenizer!.encode(prompts[2]!);
  const { logits, taps } = await opened.forward({ ids: [ids], taps: ['attn_pattern.1'] });
  const { vocabulary, heads, layers } = opened.architecture;
  const scores = logits!.data.subarray((ids.length - 1) * vocabulary);
  const best = scores.indexOf(Math.max(...scores));
  const seen = result.lens!.filter(({ document, position }) => document === 2 && position === ids.length - 1);
  expect(seen.map(({ layer }) => layer)).toEqual(Array.from({ length: layers }, (_, layer) => layer));
  expect(seen.at(-1)!.likeliest.map(({ token }) => token)[0]).toBe(best);
  const total = scores.reduce((sum, score) => sum + Math.exp(score - scores[best]!), 0);
  expect(seen.at(-1)!.likeliest[0]!.log_probability).toBeCloseTo(-Math.log(total), 4);
  const { tensor } = result.patterns.find(({ document }) => document === 2)!;
  expect(file.shape(tensor)).toEqual([heads, ids.length, ids.length]);
  expect(file.float32(tensor)).toEqual(taps['attn_pattern.1']!.data);
  await opened.release();
});
