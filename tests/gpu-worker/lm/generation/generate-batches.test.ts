import { describe, expect, it } from 'vitest';
import { generate } from '../../../../gpu-worker/lm/generation/generate.ts';
import { generateInBatches } from '../../../../gpu-worker/lm/generation/generate-batches.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { randomRows, TINY } from '../../../support/tiny-model.ts';

describe('generation in batches', () => {
  it('gives each prompt what it would get alone, however long the others are', async () => {
    const model = await openTiny(TINY.llama!);
    const prompts = randomRows([3, 30, 5, 4, 32, 2, 3]);
    const options = { maxTokens: 12, temperature: 1, seed: 9, stopTokens: [] };
    const done: number[] = [];
    const together = await generateInBatches(model, prompts, options, { rows: 2, done: (count) => done.push(count) });
    for (const [row, prompt] of prompts.entries()) {
      const [alone] = await generate(model, [prompt], { ...options, rowNumbers: [row] });
      expect([row, together[row]!.tokens]).toEqual([row, alone!.tokens]);
    }
    // A context of 32 holds three more after 30 tokens, the last of which is not read again.
    expect(together.map(({ tokens }) => tokens.length)).toEqual([12, 3, 12, 12, 1, 12, 12]);
    expect(done.at(-1)).toBe(7);
  });
});

describe('what cannot be generated', () => {
  it.each([
    [{ maxTokens: -1 }, /-1 tokens/],
    [{ maxTokens: 1.5 }, /1.5 tokens/],
    [{ stop: [''] }, /empty stop string/],
  ])('is refused: %j', async (options, message) => {
    const model = await openTiny(TINY.llama!);
    await expect(generate(model, [[1]], options)).rejects.toMatchObject({
      code: 'data_invalid',
      message: expect.stringMatching(message),
    });
  });
});
