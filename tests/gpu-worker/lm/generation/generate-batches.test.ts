import { describe, expect, it } from 'vitest';
import { argMax } from '../../../../gpu-worker/lm/evaluate.ts';
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

describe('beyond the original context of a LongRoPE', () => {
  const config = { ...TINY.phi3, original_max_position_embeddings: 12 };

  it('everything is turned anew: cached keys give what none give, steered in the prompt or behind it', async () => {
    const model = await openTiny(config);
    const [prompt = []] = randomRows([9]);
    const vector = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
    for (const during of [null, 'prompt', 'generated', 'all'] as const) {
      const interventions = during ? [{ kind: 'add' as const, hook: 'resid_post.0', vector, during }] : [];
      const [found] = await generate(model, [prompt], { maxTokens: 12, stopTokens: [], interventions });
      const ids = [...prompt];
      for (let i = 0; i < 12; i++) {
        const positions = Uint8Array.from(ids, (_, at) =>
          during === 'all' || (during === 'prompt') === at < prompt.length ? 1 : 0,
        );
        const edits = interventions.map(({ during: _, ...edit }) => ({ ...edit, positions }));
        const { logits } = await model.forward({ ids: [ids], logits: 'last', interventions: edits });
        ids.push(argMax(logits?.data ?? []));
      }
      expect(found?.tokens, String(during)).toEqual(ids.slice(9));
    }
  });

  it('a long prompt does not change a short one', async () => {
    const model = await openTiny(config);
    const prompts = randomRows([5, 14, 6]);
    const together = await generateInBatches(model, prompts, { maxTokens: 4, stopTokens: [] });
    const alone = await Promise.all(
      prompts.map((prompt) => generate(model, [prompt], { maxTokens: 4, stopTokens: [] })),
    );
    expect(together.map(({ tokens }) => tokens)).toEqual(alone.map(([one]) => one?.tokens));
  });
});
