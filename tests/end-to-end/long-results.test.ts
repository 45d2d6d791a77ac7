/** What is admitted is completed: texts and codes beyond what a result can be are the lines of an artefact. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Job } from '../../shared/contracts/job.ts';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import type lmGenerate from '../../shared/jobs/lm.generate.ts';
import type saeEncode from '../../shared/jobs/sae.encode.ts';
import type saeTrain from '../../shared/jobs/sae.train.ts';
import { TINY, type TinyModel, tinyModel } from '../support/tiny-model.ts';
import { until } from '../support/until.ts';
import { wordTokenizer } from '../support/word-tokenizer.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack();
const local = { local: 'tiny' };
let model: TinyModel;
beforeAll(async () => {
  model = tinyModel({ ...TINY.llama, max_position_embeddings: 4096 }, { tokenizer: wordTokenizer() });
  await stack.start();
  await stack.startWorker({ models: { tiny: model.folder } });
}, 360_000);
afterAll(async () => {
  await stack.stop();
  model.remove();
});

/** Texts of so many tokens take their time where other things compute beside them. */
async function succeeded(id: string): Promise<Job> {
  let job = await stack.job(id);
  await until(
    async () => {
      job = await stack.job(id);
      return job.status === 'succeeded' || job.status === 'failed';
    },
    `${id} to end`,
    300_000,
  );
  expect(job).toMatchObject({ status: 'succeeded', error: null });
  return job;
}
async function linesOf<L>(job: Job, file: string | null): Promise<L[]> {
  const artefact = job.artefacts.find(({ name }) => name === file);
  const text = await (await stack.call('GET', `/v1/artefacts/${artefact?.id}`)).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as L);
}

it('eight texts of 3,000 tokens', async () => {
  const prompts = Array.from({ length: 8 }, (_, i) => `w${i + 3}`);
  await succeeded(await stack.postJob('lm.generate', { model: local, prompts: ['w3'], max_tokens: 1 }));
  const body = { model: 'tiny', prompts, max_tokens: 3000, temperature: 1 };
  const answer = await stack.call('POST', '/v1/generations', { body });
  const job = await succeeded(((await answer.json()) as Job).id);
  type Result = ResultOf<typeof lmGenerate>;
  const { runs, texts_file, tokens } = job.result as unknown as Result;
  type Text = Result['runs'][number]['texts'][number];
  const lines = await linesOf<Text & { run: number; prompt: number }>(job, texts_file);
  expect(lines.map(({ run, prompt }) => [run, prompt])).toEqual(prompts.map((_, i) => [0, i]));
  expect(lines.reduce((sum, line) => sum + line.tokens.length, 0)).toBe(tokens);
  const shown = runs[0]!.texts;
  expect(shown.length).toBeGreaterThan(0);
  expect(shown.length).toBeLessThan(8);
  expect(lines.slice(0, shown.length)).toMatchObject(shown);
}, 360_000);

it("a whole answer in OpenAI's shape, beyond what a result can be; one that could be too long is refused before there is a job", async () => {
  const jobs = async () => (await stack.edge.execute('SELECT count(*) AS n FROM jobs'))[0]?.n;
  const ask = { model: 'tiny', messages: [{ role: 'user', content: 'w3 w7' }], n: 8, max_tokens: 3000 };
  const before = await jobs();
  const refused = await stack.call('POST', '/v1/chat/completions', {
    body: { ...ask, logprobs: true, top_logprobs: 20 },
  });
  expect(refused.status).toBe(400);
  const { error } = (await refused.json()) as { error: { message: string; param: string } };
  expect(error).toMatchObject({ param: 'max_tokens', message: expect.stringContaining('stream: true') });
  expect(await jobs()).toBe(before);
  const answer = await stack.call('POST', '/v1/chat/completions', { body: ask });
  expect(answer.status).toBe(200);
  type Answer = { job: string; choices: { index: number; message: { content: string } }[] };
  const { job: id, choices } = (await answer.json()) as Answer;
  expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  const job = await succeeded(id);
  type Result = ResultOf<typeof lmGenerate>;
  const { texts_file, runs } = job.result as unknown as Result;
  expect(runs[0]!.texts.length).toBeLessThan(8);
  const lines = await linesOf<Result['runs'][number]['texts'][number]>(job, texts_file);
  expect(choices.map(({ message }) => message.content)).toEqual(lines.map(({ text }) => text));
}, 360_000);

it('codes of as many texts as an encoding takes', async () => {
  const words = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => `w${2 + ((from + 7 * i) % 57)}`).join(' ');
  const training = {
    model: local,
    hook: 'resid_post.0',
    corpus: { texts: Array.from({ length: 40 }, (_, i) => words(i, 60)) },
    saes: [{ variant: 'topk', width: 32, k: 4 }],
    context: 32,
    batch: 64,
    steps: 4,
    evaluation_tokens: 256,
  };
  const trained = await succeeded(await stack.postJob('sae.train', training));
  const [sae] = (trained.result as unknown as ResultOf<typeof saeTrain>).saes;
  const texts = Array.from({ length: 256 }, (_, i) => words(i, 40));
  const job = await succeeded(
    await stack.postJob('sae.encode', { model: local, sae: sae!.id, texts, strongest: 1024 }),
  );
  type Result = ResultOf<typeof saeEncode>;
  const result = job.result as unknown as Result;
  const lines = await linesOf<Result['texts'][number]['tokens'][number] & { document: number }>(job, result.texts_file);
  expect(new Set(lines.map(({ document }) => document)).size).toBe(256);
  const shown = result.texts.flatMap(({ tokens }) => tokens);
  expect(shown.length).toBeGreaterThan(0);
  expect(shown.length).toBeLessThan(lines.length);
  expect(lines.slice(0, shown.length)).toMatchObject(shown);
}, 360_000);
