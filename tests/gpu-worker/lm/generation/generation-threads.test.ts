import { afterEach, describe, expect, it } from 'vitest';
import { generate } from '../../../../gpu-worker/lm/generation/generate.ts';
import { generateInBatches } from '../../../../gpu-worker/lm/generation/generate-batches.ts';
import { GenerationThreads } from '../../../../gpu-worker/lm/generation/generation-threads.ts';
import { stream } from '../../../../shared/math/random.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { randomRows, TINY, WIDE } from '../../../support/tiny-model.ts';

let threads: GenerationThreads | null = null;
afterEach(async () => {
  await threads?.close();
  threads = null;
});

describe('generation on threads', () => {
  it('gives each prompt what it would get alone, steered too', async () => {
    const model = await openTiny(WIDE.llama!);
    const prompts = randomRows([3, 30, 5, 4, 32, 2, 3]);
    const vector = stream(2, 'v').normal32(64, { deviation: 2 });
    const interventions = [{ kind: 'add', hook: 'resid_post.0', vector, strength: 0.5, during: 'generated' }] as const;
    const options = { maxTokens: 12, temperature: 1, seed: 9, stopTokens: [], interventions };
    threads = GenerationThreads.for(model, prompts.length, 3);
    const done: number[] = [];
    const together = await generateInBatches(model, prompts, options, {
      rows: 4,
      threads,
      done: (count) => done.push(count),
    });
    expect(threads).not.toBeNull();
    for (const [row, prompt] of prompts.entries()) {
      const [alone] = await generate(model, [prompt], { ...options, rowNumbers: [row] });
      expect([row, together[row]!.tokens]).toEqual([row, alone!.tokens]);
      for (const [i, value] of alone!.logProbabilities.entries()) {
        expect(together[row]!.logProbabilities[i]).toBeCloseTo(value, 4);
      }
    }
    expect(done).toEqual([4, 7]);
  });

  it('raises what a thread raised, and goes on afterwards', async () => {
    const model = await openTiny(TINY.llama!);
    threads = GenerationThreads.for(model, 4, 2)!;
    await expect(threads.generate([[1], [2], [3], [61]], {})).rejects.toMatchObject({
      name: 'SextantError',
      code: 'tokenizer_mismatch',
      message: expect.stringMatching(/token id 61/),
    });
    const [first] = await threads.generate([[1], [2]], { maxTokens: 3, stopTokens: [] });
    expect(first!.tokens).toHaveLength(3);
  });

  it('is for small models and several rows on several cores of the CPU', async () => {
    const model = await openTiny(TINY.llama!);
    expect(GenerationThreads.for(model, 8, 1)).toBeNull();
    expect(GenerationThreads.for(model, 3, 2)).toBeNull();
    const larger = { device: 'cpu', folder: { ...model.folder, bytes: 2 ** 26 } } as typeof model;
    expect(GenerationThreads.for(larger, 8, 2)).toBeNull();
    expect(
      GenerationThreads.for({ ...model, folder: model.folder, device: 'webgpu' } as typeof model, 8, 2),
    ).toBeNull();
  });
});
