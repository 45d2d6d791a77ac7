/**
 * `npm run bench -- interactive [--torch DIR] [--llama DIR] [--rounds 12] [--only NAME,...] [--save]`: what stands between a request and its
 * text on one machine over the loopback: the first token beside the same `generate` in this process, a small job from POST to
 * result, 200 small jobs through two workers, requests with different vectors in one running batch, steering and conditions, a
 * request beside a training, and decoding beside transformers and llama.cpp (float32 and Q8_0) in turns, where the folders hold
 * their packages: torch's site-packages, and one in which `npm install node-llama-cpp` was run. About six minutes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, getPriority, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { generate } from '../../gpu-worker/lm/generation/generate.ts';
import { RunningBatch } from '../../gpu-worker/lm/generation/running-batch.ts';
import { type LanguageModel, loadModel } from '../../gpu-worker/lm/inference/model.ts';
import { stream } from '../../shared/math/random.ts';
import { Stack, type Worker } from '../end-to-end/support/stack.ts';
import { data } from '../support/guide.ts';
import { decode } from './interactive/decode.ts';
import { type Line, type Measure, ROWS, THREADS, TOKENS } from './interactive/measure.ts';
import { interleaved, ratios, show, summary, timed } from './pairs.ts';

const STORY = data('models', 'bitstories3M-hf');
const SMALLEST = data('models', 'stories260K-hf');
const PROMPT = 'Once upon a time there was a little girl named Lily.';

/** Milliseconds to the first token, and between those after it. */
type Pace = { first: number; each: number };
const pace = (began: number, at: readonly number[]): Pace => ({
  first: at[0]! - began,
  each: (at.at(-1)! - at[0]!) / (at.length - 1),
});

async function paceHere(model: LanguageModel): Promise<Pace> {
  const at: number[] = [];
  const began = performance.now();
  const ids = model.tokenizer!.encode(PROMPT);
  await generate(model, [ids], { maxTokens: TOKENS, stopTokens: [] }, () => at.push(performance.now()));
  return pace(began, at);
}

/** The same as a streamed request; the tokens are told apart by their events. */
async function paceThere(stack: Stack): Promise<Pace> {
  const at: number[] = [];
  const began = performance.now();
  const answer = await stack.call('POST', '/v1/generations', {
    body: { model: { local: 'story' }, prompts: [PROMPT], max_tokens: TOKENS, stream: true },
  });
  if (!answer.ok || !answer.body) {
    throw new Error(`${answer.status}: ${await answer.text()}`);
  }
  let rest = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const frames = (rest + chunk).split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames.filter((one) => one.includes('event: tokens'))) {
      const { tokens } = JSON.parse(/^data: (.*)$/m.exec(frame)![1]!) as { tokens: number[] };
      at.push(...tokens.map(() => performance.now()));
    }
  }
  return pace(began, at);
}

/** A stack with so many workers that know the two models. */
async function withStack<T>(workers: number, visit: (stack: Stack) => Promise<T>): Promise<T> {
  const stack = await new Stack().start();
  try {
    await Promise.all(
      Array.from(
        { length: workers },
        (): Promise<Worker> => stack.startWorker({ models: { story: STORY, smallest: SMALLEST }, poll_ms: 1000 }),
      ),
    );
    // A request is for models that a worker has loaded for its tenant before.
    for (const local of ['story', 'smallest']) {
      const { status } = await stack.ended(
        await stack.postJob('lm.generate', { model: { local }, prompts: [PROMPT], max_tokens: 2 }),
      );
      if (status !== 'succeeded') {
        throw new Error(`the model '${local}' cannot be loaded`);
      }
    }
    return await visit(stack);
  } finally {
    await stack.stop();
  }
}

const firstToken: Measure = (add, rounds) =>
  withStack(1, async (stack) => {
    const model = await loadModel(STORY, { threads: THREADS, spinning: false });
    const [here, there]: [Pace[], Pace[]] = [[], []];
    for (let round = -2; round < rounds; round++) {
      const pair = [await paceHere(model), await paceThere(stack)] as const;
      if (round >= 0) {
        here.push(pair[0]);
        there.push(pair[1]);
      }
    }
    await model.release();
    const above = summary(there.map(({ first }, i) => first - here[i]!.first));
    add({
      what: 'first streamed token above generate()',
      figure: above,
      unit: 'ms',
      against: 'in this process',
      target: '40',
    });
    add({
      what: 'first token of generate()',
      figure: summary(here.map(({ first }) => first)),
      unit: 'ms',
      against: '',
      target: '',
    });
  });

const smallJob: Measure = (add, rounds) =>
  withStack(1, async (stack) => {
    const body = { model: { local: 'smallest' }, prompts: [PROMPT], max_tokens: 16 };
    const once = async () => {
      const answer = await stack.call('POST', '/v1/generations', { body });
      const job = (await answer.json()) as { status: string };
      if (job.status !== 'succeeded') {
        throw new Error(JSON.stringify(job));
      }
    };
    await once();
    await once();
    const times: number[] = [];
    for (let round = 0; round < 2 * rounds; round++) {
      times.push(await timed(once));
    }
    add({
      what: '16 tokens of the smallest model, POST to result',
      figure: summary(times),
      unit: 'ms',
      against: '',
      target: '60',
    });
  });

const JOBS = 200;
const manyJobs: Measure = (add) =>
  withStack(2, async (stack) => {
    const post = () => stack.post({ steps: 1, step_ms: 0, artefacts: 0, lane: 'interactive' });
    await Promise.all((await Promise.all(Array.from({ length: 8 }, post))).map((id) => stack.ended(id)));
    const waiting = Array.from({ length: JOBS }, (_, i) => i);
    const took = await timed(async () => {
      const follow = async () => {
        while (waiting.pop() !== undefined) {
          const id = await post();
          const answer = await stack.call('GET', `/v1/jobs/${id}`, { headers: { prefer: 'wait=60' } });
          const job = (await answer.json()) as { status: string };
          if (job.status !== 'succeeded') {
            throw new Error(`${id} is ${job.status}`);
          }
        }
      };
      await Promise.all(Array.from({ length: 24 }, follow));
    });
    const rate = (JOBS / took) * 1000;
    add({
      what: `${JOBS} small jobs through two workers`,
      figure: summary([rate]),
      unit: 'jobs/s',
      against: 'none lost',
      target: '40',
    });
  });

const runningBatch: Measure = async (add, rounds) => {
  const model = await loadModel(STORY, { threads: THREADS, spinning: false });
  const hook = 'resid_post.3';
  const width = model.widthAt(hook)!;
  const ids = model.tokenizer!.encode(PROMPT);
  const prompts = Array.from({ length: ROWS }, () => ids);
  const vectors = Array.from({ length: ROWS }, (_, i) => stream(i, 'bench/vector').normal32(width));
  const all = Float32Array.from({ length: ROWS * width }, (_, i) => vectors[Math.floor(i / width)]![i % width]!);
  const options = { maxTokens: 2 * TOKENS, stopTokens: [] };
  const add1 = (vector: Float32Array) => [{ kind: 'add', hook, vector, strength: 0.01 }] as const;
  const condition = { direction: vectors[0]!, above: 0 };
  const batch = new RunningBatch(model, 0);
  const times = await interleaved(rounds, {
    joined: () =>
      timed(() =>
        Promise.all(
          vectors.map((vector) =>
            batch.generate([ids], { ...options, interventions: add1(vector) }, { owner: 'bench' }),
          ),
        ),
      ),
    whole: () => timed(() => generate(model, prompts, { ...options, interventions: add1(all) })),
    plain: () => timed(() => generate(model, prompts, options)),
    conditional: () =>
      timed(() =>
        generate(model, prompts, { ...options, interventions: add1(all).map((edit) => ({ ...edit, condition })) }),
      ),
  });
  await model.release();
  const share = (a: string, b: string) => summary(ratios(times[a]!, times[b]!).map((ratio) => 100 * ratio));
  add({
    what: 'eight requests with their own vectors in one running batch',
    figure: share('whole', 'joined'),
    unit: '% of the rate',
    against: 'one generate() of eight rows',
    target: '90',
  });
  add({
    what: 'steering, time beside plain',
    figure: share('whole', 'plain'),
    unit: '%',
    against: 'plain',
    target: '103',
  });
  add({
    what: 'a condition, time beside plain',
    figure: share('conditional', 'plain'),
    unit: '%',
    against: 'plain',
    target: '103',
  });
};

const besideTraining: Measure = (add, rounds) =>
  withStack(1, async (stack) => {
    const measured = async () => {
      const found: Pace[] = [];
      for (let round = -1; round < rounds; round++) {
        const one = await paceThere(stack);
        if (round >= 0) {
          found.push(one);
        }
      }
      return found;
    };
    const quiet = await measured();
    const training = await stack.postJob('lm.train', { steps: 100_000, context: 48, batch: 64 });
    await stack.reached(training, 'running');
    const stepOf = async () => {
      const { progress, status } = await stack.job(training);
      if (status !== 'running') {
        throw new Error(`the training is ${status}`);
      }
      return progress?.metrics?.step ?? 0;
    };
    while ((await stepOf()) === 0) {
      await sleep(500);
    }
    const rateOver = async (work: () => Promise<unknown>) => {
      const [first, began] = [await stepOf(), performance.now()];
      await work();
      return ((await stepOf()) - first) / (performance.now() - began);
    };
    const alone = await rateOver(() => sleep(12_000));
    let beside: Pace[] = [];
    const shared = await rateOver(async () => {
      beside = await measured();
    });
    await stack.call('POST', `/v1/jobs/${training}/cancel`);
    const a = {
      first: summary(quiet.map(({ first }) => first)),
      each: summary(quiet.map(({ each }) => each)),
    };
    const later = beside.map(({ first }) => first - a.first.median);
    add({
      what: 'first token beside a training, later by',
      figure: summary(later),
      unit: 'ms',
      against: 'without',
      target: '300',
    });
    const slower = beside.map(({ each }) => each / a.each.median);
    add({
      what: 'each token beside a training, times as long',
      figure: summary(slower),
      unit: 'times',
      against: 'without',
      target: '2',
    });
    add({
      what: 'rate of the training beside one request after the other',
      figure: summary([(100 * shared) / alone]),
      unit: '%',
      against: 'without',
      target: '',
    });
  });

const MEASURES: Record<string, Measure> = { firstToken, smallJob, manyJobs, runningBatch, besideTraining, decode };
const RESULT = join(import.meta.dirname, 'results/interactive.json');

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      torch: { type: 'string' },
      llama: { type: 'string' },
      rounds: { type: 'string', default: '12' },
      only: { type: 'string' },
      save: { type: 'boolean', default: false },
    },
  });
  const names = values.only?.split(',') ?? Object.keys(MEASURES);
  for (const name of names) {
    const measure = MEASURES[name];
    if (!measure) {
      throw new Error(`'${name}' is none of ${Object.keys(MEASURES).join(', ')}`);
    }
    const lines: (Line & { measure: string; load: number })[] = [];
    await measure(
      (line) => {
        lines.push({ measure: name, ...line, load: Math.round(10 * loadavg()[0]!) / 10 });
        const against = line.against ? ` (${line.against})` : '';
        const target = line.target ? `; wanted ${line.target}` : '';
        console.log(`${line.what}${against}: ${show(line.figure, 1)} ${line.unit}${target}`);
      },
      Number(values.rounds),
      { torch: values.torch, llama: values.llama },
    );
    if (values.save) {
      save(name, lines);
    }
  }
}

/** Puts the lines of one measure in the place of what was known of it. */
function save(name: string, lines: readonly (Line & { measure: string; load: number })[]): void {
  const kept = stored().lines.filter(({ measure }) => measure !== name);
  const measure = `priority ${getPriority()} on a machine that others use: the load stands in each line`;
  const host = { cpu: cpus()[0]?.model ?? '', node: process.version, measure };
  writeFileSync(RESULT, `${JSON.stringify({ host, lines: [...kept, ...lines] }, null, 2)}\n`);
}

function stored(): { lines: (Line & { measure: string; load: number })[] } {
  try {
    return JSON.parse(readFileSync(RESULT, 'utf8')) as { lines: (Line & { measure: string; load: number })[] };
  } catch {
    return { lines: [] };
  }
}
