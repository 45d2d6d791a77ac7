import { describe, expect, it } from 'vitest';
import type { LanguageModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { readWeight } from '../../../../gpu-worker/lm/weights/folder.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { gap, randomRows, TINY } from '../../../support/tiny-model.ts';

const sum = (...parts: Float32Array[]): Float32Array =>
  parts[0]!.map((_, i) => parts.reduce((total, part) => total + part[i]!, 0));

async function tap(model: LanguageModel, hooks: string[], ids = randomRows([9, 5])) {
  const { taps, starts } = await model.forward({ ids, taps: hooks, logits: 'none' });
  return { at: (hook: string) => taps[hook]!.data, shape: (hook: string) => taps[hook]!.shape, starts };
}

describe.each(Object.entries(TINY))('hook points of a random %s', (_name, config) => {
  it('all exist, with the widths that the description states', async () => {
    const model = await openTiny(config);
    const a = model.architecture;
    const { at, shape } = await tap(model, model.hooks);
    const kinds = a.parallel ? 10 : 11;
    expect(model.hooks.length).toBe(a.layers * (kinds + a.heads));
    for (const hook of model.hooks) {
      const width = model.widthAt(hook);
      expect(shape(hook)).toEqual(width === null ? [2, a.heads, 9, 9] : [2, 9, width]);
      expect(at(hook).every(Number.isFinite)).toBe(true);
    }
  });

  it('add up: the stream is what enters a block plus what its halves add', async () => {
    const model = await openTiny(config);
    const { at } = await tap(model, model.hooks);
    const { layers, parallel } = model.architecture;
    for (let layer = 0; layer < layers; layer++) {
      const [pre, post, attention, mlp] = ['resid_pre', 'resid_post', 'attn_out', 'mlp_out'].map((kind) =>
        at(`${kind}.${layer}`),
      );
      expect(gap(post!, sum(pre!, attention!, mlp!))).toBeLessThan(1e-5);
      if (!parallel) {
        expect(gap(at(`resid_mid.${layer}`), sum(pre!, attention!))).toBeLessThan(1e-5);
      }
      if (layer + 1 < layers) {
        expect(gap(at(`resid_pre.${layer + 1}`), post!)).toBe(0);
      }
    }
  });

  it('split attention into heads whose shares and bias make the output', async () => {
    const model = await openTiny(config);
    const { at } = await tap(model, model.hooks);
    const a = model.architecture;
    const layer = model.folder.weights.layers[1]!;
    const shares = Array.from({ length: a.heads }, (_, head) => at(`head_out.1.${head}`));
    const bias = layer.output.bias ? readWeight(model.folder, layer.output.bias.name) : new Float32Array(a.width);
    let total = sum(...shares).map((value, i) => value + bias[i % a.width]!);
    if (layer.postAttentionNorm) {
      const scale = readWeight(model.folder, layer.postAttentionNorm.weight.name);
      total = total.map((value, i) => {
        const row = total.subarray(i - (i % a.width), i - (i % a.width) + a.width);
        const rms = Math.sqrt(row.reduce((s, x) => s + x * x, 0) / a.width + a.norm.eps);
        return (value / rms) * (a.norm.weightOffset + scale[i % a.width]!);
      });
    }
    expect(gap(at('attn_out.1'), total)).toBeLessThan(2e-5);
  });

  it('show attention that looks back only, within the window, and adds up to one', async () => {
    const model = await openTiny(config);
    const { at } = await tap(model, ['attn_pattern.0'], randomRows([9]));
    const [pattern, window] = [at('attn_pattern.0'), model.architecture.windows[0] ?? null];
    for (let line = 0; line < pattern.length / 9; line++) {
      const row = pattern.subarray(line * 9, line * 9 + 9);
      const query = line % 9;
      expect(row.reduce((s, x) => s + x, 0)).toBeCloseTo(1, 5);
      row.forEach((p, key) => {
        if (key > query || (window !== null && key <= query - window)) {
          expect(p).toBe(0);
        } else {
          expect(p).toBeGreaterThan(0);
        }
      });
    }
  });

  it('are read at the last position and at chosen ones as they are read everywhere', async () => {
    const model = await openTiny(config);
    const a = model.architecture;
    const ids = randomRows([6, 6]);
    const hooks = ['resid_post.0', a.experts ? 'router.1' : 'mlp_act.1', 'head_out.0.1'];
    const all = await model.forward({ ids, taps: hooks, logits: 'none' });
    const last = await model.forward({ ids, taps: hooks, tapAt: 'last', logits: 'last' });
    const some = await model.forward({ ids, taps: hooks, tapAt: [7, 2], logits: 'last' });
    for (const hook of hooks) {
      const width = model.widthAt(hook)!;
      const row = (i: number) => all.taps[hook]!.data.subarray(i * width, (i + 1) * width);
      expect(gap(last.taps[hook]!.data, [...row(5), ...row(11)])).toBeLessThan(1e-6);
      expect(gap(some.taps[hook]!.data, [...row(7), ...row(2)])).toBeLessThan(1e-6);
    }
  });
});

describe('a hook that a model does not have', () => {
  it.each([
    'resid_post.2',
    'head_out.0.4',
    'resid_post',
    'resid_post.01',
    'head_out.0',
    'q.0.1',
    'other.0',
    'resid_mid.-1',
  ])('is refused: %s', async (hook) => {
    const model = await openTiny(TINY.llama!);
    await expect(model.forward({ ids: [[1]], taps: [hook] })).rejects.toMatchObject({ code: 'hook_unknown' });
  });

  it('is refused where attention and MLP are parallel', async () => {
    const model = await openTiny(TINY.gpt_neox!);
    await expect(model.forward({ ids: [[1]], taps: ['resid_mid.0'] })).rejects.toMatchObject({ code: 'hook_unknown' });
  });
});
