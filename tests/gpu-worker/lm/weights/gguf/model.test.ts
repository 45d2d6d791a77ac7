import { describe, expect, it, onTestFinished } from 'vitest';
import { loadModel } from '../../../../../gpu-worker/lm/inference/model.ts';
import { discardFolder, readFolder, readWeight } from '../../../../../gpu-worker/lm/weights/folder.ts';
import { ropeFrequencies } from '../../../../../shared/models/rope.ts';
import { type GgufOptions, ggufModel } from '../../../../support/gguf-model.ts';
import { quantisedModel } from '../../../../support/quantised-model.ts';
import { gap, randomRows } from '../../../../support/tiny-model.ts';

function written(options?: GgufOptions) {
  const model = ggufModel(options);
  onTestFinished(model.remove);
  return model;
}

describe('a GGUF file', () => {
  it('holds the weights under the publishers names and in their order of rows', () => {
    const { path, dense } = written();
    const folder = readFolder(path);
    for (const [name, values] of dense) {
      expect([name, gap(readWeight(folder, name), values)]).toEqual([name, 0]);
    }
    expect(folder.storage).toMatchObject({ layout: 'gguf Q8_0', bits: 8, group: 32 });
    discardFolder(folder);
  });

  it('computes what a plain folder of the same weights computes', async () => {
    const plain = quantisedModel(null);
    onTestFinished(plain.remove);
    const rows = randomRows([9]);
    const logits = [];
    for (const path of [written({ quantised: false }).path, plain.path]) {
      const model = await loadModel(path, { threads: 1 });
      logits.push((await model.forward({ ids: rows })).logits!.data);
      await model.release();
    }
    expect(gap(logits[0]!, logits[1]!)).toBeLessThan(1e-5);
  });

  it('without a head is tied', () => {
    const folder = readFolder(written({ tied: true }).path);
    expect(folder.architecture.tied).toBe(true);
    discardFolder(folder);
  });

  it('divides the rotary frequencies by its own factors', () => {
    const folder = readFolder(written({ factors: [1, 2, 4, 8, 1, 2, 4, 8] }).path);
    const plain = readFolder(written().path);
    const [divided, whole] = [folder, plain].map(({ architecture }) => ropeFrequencies(architecture.rope!));
    expect(Array.from(whole!, (f, i) => f / divided![i]!)).toEqual([1, 2, 4, 8, 1, 2, 4, 8]);
    for (const each of [folder, plain]) {
      discardFolder(each);
    }
  });

  it.each<[string, GgufOptions, RegExp]>([
    ['another architecture', { architecture: 'mamba' }, /architecture 'mamba'/],
    ['an IQ type', { type: 23 }, /IQ4_XS/],
    ['a key that may change the arithmetic', { extraKey: 'llama.expert_count' }, /expert_count/],
  ])('is refused for %s', (_, options, message) => {
    expect(() => readFolder(written(options).path)).toThrow(message);
  });
});
