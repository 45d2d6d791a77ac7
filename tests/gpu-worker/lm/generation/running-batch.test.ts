/** Requests that join and leave one running batch: each gets what it would get alone. */
import { expect, it } from 'vitest';
import { generate } from '../../../../gpu-worker/lm/generation/generate.ts';
import type { GenerateOptions } from '../../../../gpu-worker/lm/generation/generation.ts';
import { RunningBatch } from '../../../../gpu-worker/lm/generation/running-batch.ts';
import { stream } from '../../../../shared/math/random.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { randomRows, TINY } from '../../../support/tiny-model.ts';

const HOOK = 'resid_post.0';
const vector = (name: string) => stream(3, name).normal32(16);
const unit = (name: string) => {
  const v = vector(name);
  const norm = Math.hypot(...v);
  return v.map((x) => x / norm);
};
const owner = 'someone';

/** Requests of different lengths, samplings and vectors; those with edits of the same kinds share a batch. */
const REQUESTS: { prompts: number[][]; options: GenerateOptions }[] = [
  { prompts: randomRows([5], 1), options: { maxTokens: 9 } },
  { prompts: randomRows([3, 8], 2), options: { maxTokens: 4, temperature: 0.9, seed: 3 } },
  ...['a', 'b', 'c'].map((name, i) => ({
    prompts: randomRows([4 + i], 3 + i),
    options: {
      maxTokens: 6 + 2 * i,
      temperature: 0.5 * i,
      interventions: [{ kind: 'add', hook: HOOK, vector: vector(name), strength: 0.3 + i }] as const,
    },
  })),
  ...['d', 'e'].map((name, i) => ({
    prompts: randomRows([6], 8 + i),
    options: {
      maxTokens: 5,
      interventions: [
        { kind: 'project', hook: HOOK, directions: unit(name), factor: 0.2 * i, during: [2, 6, 7] },
        { kind: 'cap', hook: 'resid_post.1', direction: unit(name), most: 0.1 * i, during: 'generated' },
        { kind: 'add', hook: HOOK, vector: vector(name), condition: { direction: unit('probe'), above: 0.1 * i } },
      ] as const,
    },
  })),
];
const options = (given: GenerateOptions): GenerateOptions => ({ stopTokens: [], ...given });

it('gives every request its own tokens and log-probabilities, whoever comes and goes beside it', async () => {
  const model = await openTiny(TINY.llama!);
  const batch = new RunningBatch(model, 2 ** 20);
  const alone = [];
  for (const request of REQUESTS) {
    alone.push(await generate(model, request.prompts, options(request.options)));
  }
  // Each starts when the one before it has its second token.
  let begin = Promise.resolve();
  const together = REQUESTS.map(async (request) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const turn = begin;
    begin = promise;
    await turn;
    let heard = 0;
    return batch.generate(request.prompts, options(request.options), {
      owner,
      heard: () => {
        heard += 1;
        if (heard === 2) {
          resolve();
        }
      },
    });
  });
  const results = await Promise.all(together);
  expect(results.map((texts) => texts.map(({ tokens }) => tokens))).toEqual(
    alone.map((texts) => texts.map(({ tokens }) => tokens)),
  );
  for (const [i, texts] of results.entries()) {
    for (const [row, { logProbabilities }] of texts.entries()) {
      for (const [at, p] of logProbabilities.entries()) {
        expect(p).toBeCloseTo(alone[i]![row]!.logProbabilities[at]!, 5);
      }
    }
  }
});

it('reads a known beginning once, for its owner alone and under the same edits, with the same bits', async () => {
  const model = await openTiny({ ...TINY.qwen3!, max_position_embeddings: 128 });
  const read: number[] = [];
  const session = model.programs.session.bind(model.programs);
  model.programs.session = async (variant) => {
    const made = await session(variant);
    return new Proxy(made, {
      get: (target, name) =>
        name === 'run'
          ? (feeds: { ids: { shape: number[] } }) => {
              read.push(feeds.ids.shape[1]!);
              return target.run(feeds as never);
            }
          : Reflect.get(target, name, target),
    });
  };
  const [history] = randomRows([60], 5) as [number[]];
  const batch = new RunningBatch(model, 2 ** 22);
  const ask = async (prompt: number[], by = owner, more: GenerateOptions = {}) => {
    read.length = 0;
    const [text] = await batch.generate([prompt], options({ maxTokens: 3, ...more }), { owner: by });
    return { read: [...read], text };
  };
  const first = await ask(history.slice(0, 40));
  expect(first.read).toEqual([40, 1, 1]);
  const longer = await ask(history);
  expect(longer.read).toEqual([20, 1, 1]);
  const [fresh] = await generate(model, [history], options({ maxTokens: 3 }));
  expect(longer.text).toEqual(fresh);
  // the last eight tokens are read anew
  expect((await ask(history)).read).toEqual([8, 1, 1]);
  expect((await ask(history, 'someone else')).read).toEqual([60, 1, 1]);
  const interventions = [{ kind: 'add', hook: HOOK, vector: vector('a') }] as const;
  const steered = await ask(history, owner, { interventions });
  expect(steered.read).toEqual([60, 1, 1]);
  expect(batch.bytes).toBeGreaterThan(0);
  expect(batch.bytes).toBeLessThan(2 ** 22);
});

it('ends a request between two tokens when it is aborted, and the others go on', async () => {
  const model = await openTiny(TINY.llama!);
  const batch = new RunningBatch(model, 0);
  const stopping = new AbortController();
  const other = { prompts: randomRows([4], 2), options: options({ maxTokens: 12 }) };
  const stopped = batch.generate(randomRows([4], 1), options({ maxTokens: 20 }), {
    owner,
    signal: stopping.signal,
    heard: () => stopping.abort(new Error('gone')),
  });
  const rest = batch.generate(other.prompts, other.options, { owner });
  await expect(stopped).rejects.toThrow('gone');
  expect(await rest).toEqual(await generate(model, other.prompts, other.options));
});

it('tells a request what is wrong with it, and no other', async () => {
  const model = await openTiny(TINY.llama!);
  const batch = new RunningBatch(model, 0);
  const good = { prompts: randomRows([4], 2), options: options({ maxTokens: 6 }) };
  const [wrong, long, fine] = await Promise.allSettled([
    batch.generate([[1, 99]], options({ maxTokens: 3 }), { owner }),
    batch.generate([new Array<number>(40).fill(1)], options({ maxTokens: 3 }), { owner }),
    batch.generate(good.prompts, good.options, { owner }),
  ]);
  expect(wrong).toMatchObject({ status: 'rejected', reason: { code: 'tokenizer_mismatch' } });
  expect(long).toMatchObject({ status: 'rejected', reason: { code: 'context_exceeded' } });
  expect(fine).toEqual({ status: 'fulfilled', value: await generate(model, good.prompts, good.options) });
});
