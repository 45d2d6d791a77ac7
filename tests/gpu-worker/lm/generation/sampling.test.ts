import { describe, expect, it } from 'vitest';
import { generate, generateTokens } from '../../../../gpu-worker/lm/generation/generate.ts';
import { sample } from '../../../../gpu-worker/lm/generation/sampling.ts';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { stream } from '../../../../shared/math/random.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { randomRows, TINY, tinyModel } from '../../../support/tiny-model.ts';
import { wordTokenizer } from '../../../support/word-tokenizer.ts';

const logits = Float32Array.of(1, 3, 2, 2.5, -4);
/** How often each token comes in many draws. */
function shares(options: Parameters<typeof sample>[1], seen: number[] = []): number[] {
  const n = 20_000;
  const uniforms = stream(3, 'draws').uniform(n);
  const counts = new Array<number>(logits.length).fill(0);
  for (const uniform of uniforms) {
    counts[sample(logits, options, seen, () => uniform)]!++;
  }
  return counts.map((count) => count / n);
}
const softmax = (values: number[]) => {
  const total = values.reduce((s, x) => s + Math.exp(x), 0);
  return values.map((x) => Math.exp(x) / total);
};

describe('sampling', () => {
  it('follows the softmax at its temperature', () => {
    for (const temperature of [0.5, 1, 2]) {
      const expected = softmax([...logits].map((x) => x / temperature));
      for (const [i, share] of shares({ temperature }).entries()) {
        expect(Math.abs(share - expected[i]!)).toBeLessThan(0.015);
      }
    }
  });

  it('keeps the k most likely, or the nucleus', () => {
    expect(shares({ temperature: 1, topK: 2 }).map((s) => s > 0)).toEqual([false, true, false, true, false]);
    // Probabilities in order: 0.45, 0.28, 0.17, 0.06, 0.0004.
    expect(shares({ temperature: 1, topP: 0.5 }).map((s) => s > 0)).toEqual([false, true, false, true, false]);
    expect(shares({ temperature: 1, topP: 0.4 })).toEqual([0, 1, 0, 0, 0]);
  });

  it('is greedy at temperature 0, with a penalty for what was said', () => {
    expect(sample(logits, {}, [], () => 0)).toBe(1);
    expect(sample(logits, { repetitionPenalty: 2 }, [1, 3], () => 0)).toBe(2);
    expect(sample(Float32Array.of(-1, -1.2), { repetitionPenalty: 1.5 }, [0], () => 0)).toBe(1);
  });
});

describe('generation', () => {
  it('with a seed is the same again, and in another batch', async () => {
    const model = await openTiny(TINY.llama!);
    const [a, b] = randomRows([4, 6]);
    const options = { maxTokens: 8, temperature: 1, seed: 11, stopTokens: [] };
    const both = await generate(model, [a!, b!], options);
    expect(await generate(model, [a!, b!], options)).toEqual(both);
    expect((await generate(model, [a!], options))[0]!.tokens).toEqual(both[0]!.tokens);
    expect((await generate(model, [a!, b!], { ...options, seed: 12 }))[0]!.tokens).not.toEqual(both[0]!.tokens);
  });

  it('ends at stop tokens, stop strings and the end of the context', async () => {
    const { folder, remove } = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
    const model = await loadModel(folder, { threads: 1 });
    const [prompt] = randomRows([5]);
    const [free] = await generate(model, [prompt!], { maxTokens: 6, stopTokens: [] });
    const third = free!.tokens[2]!;
    const firstAt = free!.tokens.indexOf(third);
    const [byToken] = await generate(model, [prompt!], { maxTokens: 6, stopTokens: [third] });
    expect(byToken).toMatchObject({ finish: 'stop_token', tokens: free!.tokens.slice(0, firstAt + 1) });
    const [byString] = await generate(model, [prompt!], { maxTokens: 6, stopTokens: [], stop: [`w${third}`] });
    expect(byString).toMatchObject({ finish: 'stop_string', tokens: free!.tokens.slice(0, firstAt + 1) });
    expect(byString!.text).not.toContain(`w${third}`);
    const [full] = await generate(model, [prompt!], { maxTokens: 1000, stopTokens: [] });
    expect(full!.tokens.length).toBe(32 - 5 + 1);
    await model.release();
    remove();
  });

  it('streams the tokens that it returns, with the model’s own log-probabilities', async () => {
    const model = await openTiny(TINY.gpt2!);
    const [prompt] = randomRows([5]);
    const seen: number[] = [];
    const tokens = generateTokens(model, [prompt!], { maxTokens: 5, temperature: 2, seed: 4, stopTokens: [] });
    let step = await tokens.next();
    while (!step.done) {
      seen.push(step.value.token);
      step = await tokens.next();
    }
    expect(step.value[0]!.tokens).toEqual(seen);
    const { losses } = await model.forward({ ids: [[...prompt!, ...seen]], losses: true });
    for (const [i, logProbability] of step.value[0]!.logProbabilities.entries()) {
      expect(logProbability).toBeCloseTo(-losses![4 + i]!, 4);
    }
  });

  it('is steered on the prompt, on what follows, or on both', async () => {
    const model = await openTiny(TINY.llama!);
    const [prompt] = randomRows([5]);
    const vector = stream(1, 'v').normal32(16, { deviation: 3 });
    const run = async (during?: 'all' | 'prompt' | 'generated') =>
      (
        await generate(model, [prompt!], {
          maxTokens: 10,
          stopTokens: [],
          interventions: during ? [{ kind: 'add', hook: 'resid_post.1', vector, during }] : [],
        })
      )[0]!.tokens;
    const [plain, all, onPrompt, after] = [await run(), await run('all'), await run('prompt'), await run('generated')];
    // At the last layer nothing is cached, so each token depends on the steering of its own step alone.
    expect(onPrompt[0]).toBe(all[0]);
    expect(after[0]).toBe(plain[0]);
    expect(all).not.toEqual(plain);
  });

  it('refuses options out of range', async () => {
    const model = await openTiny(TINY.llama!);
    for (const options of [{ temperature: -1 }, { topK: 0 }, { topP: 2 }, { repetitionPenalty: 0 }]) {
      await expect(generate(model, [[1]], options)).rejects.toMatchObject({ code: 'data_invalid' });
    }
    await expect(generate(model, [[1]], { stop: ['x'] })).rejects.toMatchObject({ code: 'tokenizer_mismatch' });
    await expect(generate(model, [new Array<number>(33).fill(1)])).rejects.toMatchObject({ code: 'context_exceeded' });
  });
});
