import { describe, expect, it, onTestFinished } from 'vitest';
import { loadModel } from '../../../../../gpu-worker/lm/inference/model.ts';
import { readWeight } from '../../../../../gpu-worker/lm/weights/folder.ts';
import { awq, gptq, packQuantized, quantisedModel } from '../../../../support/quantised-model.ts';
import { gap, randomRows } from '../../../../support/tiny-model.ts';

describe('a model that stays packed', () => {
  it.each([
    ['GPTQ, 4 bits', gptq()],
    ['GPTQ, 8 bits', gptq({ bits: 8, group: 32 })],
    ['AWQ', awq({ group: 32 })],
    ['compressed-tensors', packQuantized()],
    ['compressed-tensors, 8 bits', packQuantized({ bits: 8, symmetric: true })],
  ])('computes what the dense reading computes, hooks and steering included: %s', async (_, layout) => {
    const written = quantisedModel(layout);
    onTestFinished(written.remove);
    const open = (options: Parameters<typeof loadModel>[1]) => loadModel(written.path, { threads: 1, ...options });
    const [dense, packed, coarse] = [
      await open({}),
      await open({ packed: true }),
      await open({ packed: true, activations: 'int8' }),
    ];
    const request = {
      ids: randomRows([9, 5]),
      taps: ['head_out.1.2', 'mlp_act.0', 'attn_pattern.1'],
      interventions: [
        { kind: 'add' as const, hook: 'resid_post.0', vector: new Float32Array(64).fill(0.1) },
        { kind: 'replace' as const, hook: 'head_out.0.1', values: new Float32Array(64).fill(0.2) },
      ],
    };
    const [a, b, c] = [await dense.forward(request), await packed.forward(request), await coarse.forward(request)];
    const largest = Math.max(...a.logits!.data.map(Math.abs));
    expect(gap(a.logits!.data, b.logits!.data) / largest).toBeLessThan(1e-4);
    expect(gap(a.logits!.data, c.logits!.data) / largest).toBeLessThan(0.2);
    for (const hook of request.taps) {
      expect(gap(a.taps[hook]!.data, b.taps[hook]!.data)).toBeLessThan(1e-4);
    }
    expect(packed.folder.packed.size).toBe(14);
    expect(packed.folder.storage!.packed).toBe('float32');
    expect(coarse.folder.storage!.packed).toBe('int8');
    const name = 'model.layers.1.mlp.down_proj.weight';
    expect(gap(readWeight(packed.folder, name), readWeight(dense.folder, name))).toBe(0);
    for (const model of [dense, packed, coarse]) {
      await model.release();
    }
  });

  it('becomes dense, and says so, where columns were taken in another order', async () => {
    const written = quantisedModel(gptq({ actOrder: true }));
    onTestFinished(written.remove);
    const model = await loadModel(written.path, { threads: 1, packed: true });
    expect(model.folder.packed.size).toBe(0);
    expect(model.folder.storage).toMatchObject({
      packed: null,
      notices: [expect.stringMatching(/no matrix can stay packed/)],
    });
    await model.release();
  });
});
