import { describe, expect, it } from 'vitest';
import {
  crossEntropy,
  klDivergence,
  logProbabilities,
  meanDivergence,
  nextTokenLogits,
  rowOf,
  targetAccuracy,
  tokenSetProbability,
} from '../../../gpu-worker/lm/evaluate.ts';
import { openTiny } from '../../support/open-tiny.ts';
import { gap, randomRows, TINY } from '../../support/tiny-model.ts';

describe('evaluation', () => {
  it('averages over tokens, not over rows or batches', async () => {
    const model = await openTiny(TINY.llama!);
    const rows = randomRows([12, 3, 7, 1]);
    let [total, count] = [0, 0];
    for (const row of rows) {
      const { logits } = await model.forward({ ids: [row] });
      for (let i = 0; i + 1 < row.length; i++) {
        total -= logProbabilities(logits!.data.subarray(i * 61, (i + 1) * 61))[row[i + 1]!]!;
        count++;
      }
    }
    for (const batch of [1, 3]) {
      const found = await crossEntropy(model, rows, { batch });
      expect(found.tokens).toBe(count);
      expect(found.loss).toBeCloseTo(total / count, 5);
      expect(found.perplexity).toBeCloseTo(Math.exp(total / count), 3);
    }
    await expect(crossEntropy(model, [[1], [2]])).rejects.toMatchObject({ code: 'data_invalid' });
  });

  it('averages the divergence from another model, or from itself when steered, over real positions', async () => {
    const [model, other] = [await openTiny(TINY.llama!), await openTiny(TINY.llama!, 2)];
    const rows = randomRows([6, 2, 4]);
    expect((await meanDivergence(model, model, rows)).kl).toBe(0);
    let total = 0;
    for (const row of rows) {
      const [p, q] = [await other.forward({ ids: [row] }), await model.forward({ ids: [row] })];
      for (let i = 0; i < row.length; i++) {
        total += klDivergence(rowOf(p.logits!.data, 61, i), rowOf(q.logits!.data, 61, i));
      }
    }
    const found = await meanDivergence(model, other, rows, { batch: 2 });
    expect(found.tokens).toBe(12);
    expect(found.kl).toBeCloseTo(total / 12, 4);
    const vector = new Float32Array(16).fill(1);
    const steered = { interventions: [{ kind: 'add' as const, hook: 'resid_post.0', vector }] };
    expect((await meanDivergence(model, model, rows, steered)).kl).toBeGreaterThan(1e-3);
    const small = await openTiny({ ...TINY.llama!, vocab_size: 50 });
    await expect(meanDivergence(model, small, [[1, 2]])).rejects.toMatchObject({ code: 'tokenizer_mismatch' });
  });

  it('takes next-token logits at the end of each prompt', async () => {
    const model = await openTiny(TINY.llama!);
    const prompts = randomRows([5, 2, 9]);
    const logits = await nextTokenLogits(model, prompts, { batch: 2 });
    for (const [r, prompt] of prompts.entries()) {
      const alone = await model.forward({ ids: [prompt], logits: 'last' });
      expect(gap(logits.subarray(r * 61, (r + 1) * 61), alone.logits!.data)).toBeLessThan(2e-5);
    }
  });

  it('measures divergence, probabilities of sets, accuracy and logit differences as defined', () => {
    const p = Float32Array.of(0, Math.log(2), Math.log(5));
    const q = Float32Array.of(Math.log(2), 0, Math.log(1));
    // p = (1, 2, 5) / 8 and q = (2, 1, 1) / 4.
    const expected = 0.125 * Math.log(0.125 / 0.5) + 0.25 * Math.log(0.25 / 0.25) + 0.625 * Math.log(0.625 / 0.25);
    expect(klDivergence(p, q)).toBeCloseTo(expected, 6);
    expect(klDivergence(p, p)).toBe(0);
    const both = Float32Array.of(...p, ...q);
    expect(gap(tokenSetProbability(both, 3, [0, 2, 2]), [0.75, 0.75])).toBeLessThan(1e-6);
    const { accuracy, logitDifference } = targetAccuracy(both, 3, [2, 1], [0, 0]);
    expect(accuracy).toBe(0.5);
    expect(logitDifference).toBeCloseTo((Math.log(5) - Math.log(2)) / 2, 6);
    expect(() => klDivergence(p, Float32Array.of(1))).toThrow(expect.objectContaining({ code: 'tokenizer_mismatch' }));
  });
});
