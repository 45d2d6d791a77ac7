import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareModel } from '../../../gpu-worker/verify/lm.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import { data, golden, hasData, hasGolden } from '../../support/guide.ts';

/** Reference outputs were computed in float32, and differ from float64 by 8e-7 in logits and 2e-6 in gradients. */
describe.skipIf(!hasGolden)('reference outputs of transformers', () => {
  it.each(['llama', 'qwen2', 'qwen3', 'gpt2', 'gpt_neox', 'gemma2', 'bitnet'])(
    'of a random %s are met',
    async (family) => {
      const expected = readSafetensors(readFileSync(golden('lm', family, 'expected.safetensors')));
      const found = await compareModel(golden('lm', family), expected, 'cpu');
      expect(found.logits).toBeLessThan(2e-5);
      expect(found.hidden).toBeLessThan(2e-5);
      expect(found.loss).toBeLessThan(2e-6);
      expect(found.gradients).toBeLessThan(1e-4);
      expect(found.greedy).toBe(true);
    },
  );
});

describe.skipIf(!hasGolden || !hasData)('reference outputs of pretrained models', () => {
  it.each(['stories260K-hf', 'bitstories3M-hf'])('%s are met', async (name) => {
    const expected = readSafetensors(readFileSync(golden('real', name, 'expected.safetensors')));
    const found = await compareModel(data('models', name), expected, 'cpu');
    expect(found.logits).toBeLessThan(5e-4);
    expect(found.hidden).toBeLessThan(2e-5);
    expect(found.loss).toBeLessThan(1e-5);
    expect(found.greedy).toBe(true);
  });
});
