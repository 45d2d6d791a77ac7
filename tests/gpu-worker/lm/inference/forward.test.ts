import { describe, expect, it } from 'vitest';
import { argMax } from '../../../../gpu-worker/lm/evaluate.ts';
import { generate } from '../../../../gpu-worker/lm/generation/generate.ts';
import { stream } from '../../../../shared/math/random.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { gap, randomRows, TINY, WIDE } from '../../../support/tiny-model.ts';

describe('a forward pass', () => {
  it.each([
    [{ taps: ['q.0'], tapAt: [7] }, 'data_invalid', /position 7 to tap; the batch has 0 to 1/],
    [{ taps: ['q.0'], tapAt: [0.5] }, 'data_invalid', /position 0.5/],
    [{ taps: ['q.9'] }, 'hook_unknown', /layers 0 to 1/],
    [
      { interventions: [{ kind: 'add', hook: 'q.0', vector: new Float32Array(16).fill(Number.NaN) }] },
      'not_finite',
      /'q.0', in layer 0, holds a value that is no number/,
    ],
    [
      { interventions: [{ kind: 'project', hook: 'q.0', directions: new Float32Array(0), count: 0 }] },
      'width_mismatch',
      /0 directions/,
    ],
  ] as const)('refuses %j', async (request, code, message) => {
    const model = await openTiny(TINY.llama!);
    await expect(model.forward({ ids: [[1, 2]], ...request })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });
});

describe.each([
  ...Object.entries(TINY),
  ...Object.entries(WIDE).map(([name, config]) => [`${name} with wide heads`, config] as const),
])('a random %s', (_name, config) => {
  it('gives a left-padded row what it gives the row alone', async () => {
    const model = await openTiny(config);
    const rows = randomRows([11, 7, 1]);
    const { vocabulary } = model.architecture;
    const together = await model.forward({ ids: rows, losses: true });
    for (const [r, row] of rows.entries()) {
      const alone = await model.forward({ ids: [row], losses: true });
      const start = (r * 11 + together.starts[r]!) * vocabulary;
      const padded = together.logits!.data.subarray(start, (r + 1) * 11 * vocabulary);
      expect(gap(padded, alone.logits!.data)).toBeLessThan(2e-5);
      expect(
        gap(together.losses!.subarray(r * 11 + together.starts[r]!, r * 11 + 10), alone.losses!.subarray(0, -1)),
      ).toBeLessThan(2e-5);
    }
  });

  it('generates with cached keys what it generates without, in a batch as alone', async () => {
    const model = await openTiny(config);
    const prompts = randomRows([9, 4]);
    const together = await generate(model, prompts, { maxTokens: 12, stopTokens: [] });
    for (const [r, prompt] of prompts.entries()) {
      const ids = [...prompt];
      for (let i = 0; i < 12; i++) {
        ids.push(argMax((await model.forward({ ids: [ids], logits: 'last' })).logits!.data));
      }
      expect(together[r]!.tokens).toEqual(ids.slice(prompt.length));
    }
  });

  it('goes on with each row until its own context is full', async () => {
    const model = await openTiny(config);
    const prompts = randomRows([30, 3, 32]);
    const together = await generate(model, prompts, { maxTokens: 100, stopTokens: [] });
    expect(together.map(({ tokens, finish }) => [tokens.length, finish])).toEqual(
      [3, 30, 1].map((count) => [count, 'length']),
    );
    for (const [r, prompt] of prompts.entries()) {
      const [alone] = await generate(model, [prompt], { maxTokens: 100, stopTokens: [] });
      expect(together[r]!.tokens).toEqual(alone!.tokens);
    }
  });

  it('patches a prompt in a padded batch as it does alone', async () => {
    const model = await openTiny(config);
    const prompts = randomRows([6, 2, 4]);
    const hook = 'resid_post.0';
    const width = model.widthAt(hook)!;
    // In the last layer's stream but one, so that generated tokens see the patch through keys and values alone.
    const values = stream(3, 'patch').normal32(3 * 6 * width);
    const options = { maxTokens: 5, stopTokens: [] };
    const patch = (numbers: Float32Array) => ({ kind: 'replace', hook, values: numbers, during: 'prompt' }) as const;
    const together = await generate(model, prompts, { ...options, interventions: [patch(values)] });
    for (const [r, prompt] of prompts.entries()) {
      const own = values.slice((r * 6 + 6 - prompt.length) * width, (r + 1) * 6 * width);
      const [alone] = await generate(model, [prompt], { ...options, interventions: [patch(own)] });
      expect(together[r]!.tokens).toEqual(alone!.tokens);
      expect(gap(together[r]!.logProbabilities, alone!.logProbabilities)).toBeLessThan(2e-5);
    }
  });

  it('reads the same logits for all positions, for the last ones, and per loss', async () => {
    const model = await openTiny(config);
    const ids = randomRows([8, 8]);
    const { vocabulary } = model.architecture;
    const all = await model.forward({ ids, losses: true });
    const last = await model.forward({ ids, logits: 'last' });
    for (const row of [0, 1]) {
      expect(
        gap(
          last.logits!.data.subarray(row * vocabulary, (row + 1) * vocabulary),
          all.logits!.data.subarray((row * 8 + 7) * vocabulary, (row + 1) * 8 * vocabulary),
        ),
      ).toBeLessThan(1e-6);
    }
    const first = all.logits!.data.subarray(0, vocabulary);
    const normaliser = Math.log(first.reduce((sum, logit) => sum + Math.exp(logit), 0));
    expect(all.losses![0]).toBeCloseTo(normaliser - first[ids[0]![1]!]!, 5);
    expect(all.losses![7]).toBeNaN();
  });
});

describe.each(Object.entries(WIDE))('attention in one node, in a random %s', (_name, config) => {
  it('gives what scores, mask, softmax and sums give', async () => {
    const model = await openTiny(config);
    const ids = randomRows([13, 13]);
    const fused = await model.forward({
      ids,
      taps: ['resid_mid.0', 'v.1'].filter((hook) => model.hooks.includes(hook)),
    });
    // Whoever looks at the patterns gets them computed.
    const spelled = await model.forward({ ids, taps: [...Object.keys(fused.taps), 'attn_pattern.1'] });
    expect(gap(fused.logits!.data, spelled.logits!.data)).toBeLessThan(2e-5);
    for (const [hook, { data }] of Object.entries(fused.taps)) {
      expect(gap(data, spelled.taps[hook]!.data)).toBeLessThan(2e-5);
    }
  });
});

describe('generation', () => {
  it('refuses to edit attention patterns, which cached keys have none of', async () => {
    const model = await openTiny(TINY.llama!);
    const interventions = [{ kind: 'replace', hook: 'attn_pattern.0', values: new Float32Array(4) }] as const;
    await expect(generate(model, [[1]], { interventions })).rejects.toMatchObject({
      code: 'data_invalid',
      message: expect.stringMatching(/'attn_pattern.0'.*forward pass only/),
    });
  });
});
