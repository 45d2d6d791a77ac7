import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { transfers } from '../../../gpu-worker/circuits/comparison/transfers.ts';
import { type LanguageModel, loadModel, readWeight, saveFolder } from '../../../gpu-worker/lm/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { randomPairs } from '../../support/circuit-pairs.ts';
import { openTiny } from '../../support/open-tiny.ts';
import { TINY } from '../../support/tiny-model.ts';

/** The model with what one head writes drawn anew, as a fine-tune that changed it alone would leave it. */
async function withHeadChanged({ folder }: LanguageModel, layer: number, head: number): Promise<LanguageModel> {
  const parent = mkdtempSync(join(tmpdir(), 'sextant-head-'));
  const { headDim } = folder.architecture;
  const { weight, layout } = folder.weights.layers[layer]!.output;
  saveFolder(
    join(parent, 'model'),
    folder.architecture,
    (name) => {
      const values = readWeight(folder, name);
      if (name !== weight.name) {
        return values;
      }
      const columns = weight.shape[1]!;
      const noise = stream(9, 'head').normal32(values.length);
      return values.map((value, i) => {
        const input = layout === 'out_in' ? i % columns : Math.floor(i / columns);
        return Math.floor(input / headDim) === head ? noise[i]! : value;
      });
    },
    { config: folder.config },
  );
  const model = await loadModel(join(parent, 'model'), { threads: 1 });
  onTestFinished(async () => {
    await model.release();
    rmSync(parent, { recursive: true });
  });
  return model;
}

it.each([
  ['gpt2', 0, 2],
  ['llama', 0, 1],
  ['llama', 1, 3],
] as const)('names the one head of a %s that was changed by hand: layer %i, head %i', async (family, layer, head) => {
  const base = await openTiny(TINY[family]!);
  const changed = await withHeadChanged(base, layer, head);
  const pairs = await randomPairs(base, 6, 6);
  for (const [from, into] of [
    [changed, base],
    [base, changed],
  ] as const) {
    const found = await transfers(from, into, pairs, 'logit_difference', {
      kinds: ['output', 'q', 'mlp'],
      circuit: [],
    });
    const difference = found.from - found.into;
    expect(Math.abs(difference)).toBeGreaterThan(0.01);
    // Put into the other model, what it writes is the whole of the difference; nothing before it differs at all.
    const own = found.single.find((part) => part.kind === 'output' && part.layer === layer && part.head === head)!;
    expect(Math.abs(own.effect - difference)).toBeLessThan(1e-4 * Math.abs(difference) + 1e-5);
    const others = found.single.filter((part) => part !== own);
    for (const part of others.filter(
      (other) => other.layer < layer || (other.layer === layer && other.kind !== 'mlp'),
    )) {
      expect(Math.abs(part.effect)).toBeLessThan(1e-5);
    }
    const before = others.reduce((most, { effect }) => Math.max(most, Math.abs(effect)), 0);
    expect(Math.abs(own.effect)).toBeGreaterThan(layer === base.architecture.layers - 1 ? before : 0);
  }
});
