import { describe, expect, it } from 'vitest';
import * as g from '../../../../gpu-worker/graph/index.ts';
import type { Intervention } from '../../../../gpu-worker/lm/inference/interventions.ts';
import { type LanguageModel, loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { readFolder, readWeight } from '../../../../gpu-worker/lm/weights/folder.ts';
import { saveFolder } from '../../../../gpu-worker/lm/weights/save.ts';
import { stream } from '../../../../shared/math/random.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { gap, randomRows, TINY } from '../../../support/tiny-model.ts';

const IDS = randomRows([7, 7]);
const vector = (width: number, name = 'v') => stream(5, name).normal32(width);
const unit = (width: number, name = 'u') => {
  const v = vector(width, name);
  const norm = Math.hypot(...v);
  return v.map((x) => x / norm);
};
const logits = async (model: LanguageModel, ...interventions: Intervention[]) =>
  (await model.forward({ ids: IDS, interventions })).logits!.data;

const hooksOf = (model: LanguageModel) =>
  ['resid_pre.0', 'resid_post.0', 'attn_out.1', 'mlp_out.0', 'head_out.1.2', 'q.0', 'k.1', 'v.1'].concat(
    model.architecture.parallel ? [] : ['resid_mid.0'],
    model.architecture.experts ? ['router.1'] : ['mlp_act.1'],
  );

describe.each(Object.entries(TINY))('interventions on a random %s', (_name, config) => {
  it('that add a and then -a, or nothing, change nothing', async () => {
    const model = await openTiny(config);
    const plain = await logits(model);
    for (const hook of hooksOf(model)) {
      const v = vector(model.widthAt(hook)!);
      // Not everywhere: one vector on all keys would cancel in the softmax of a model without rotary embedding.
      const positions = Uint8Array.from({ length: 14 }, (_, i) => i % 2);
      const there: Intervention = { kind: 'add', hook, vector: v, strength: 2, positions };
      expect(gap(await logits(model, there), plain)).toBeGreaterThan(1e-4);
      expect(gap(await logits(model, there, { ...there, strength: -2 }), plain)).toBeLessThan(2e-5);
      expect(gap(await logits(model, { ...there, strength: 0 }), plain)).toBeLessThan(1e-6);
    }
  });

  it('that patch a run into itself change nothing, bit for bit, at every hook', async () => {
    const model = await openTiny(config);
    for (const hook of [...hooksOf(model), 'attn_pattern.1']) {
      const own = await model.forward({ ids: IDS, taps: [hook] });
      const patch: Intervention = { kind: 'replace', hook, values: own.taps[hook]!.data };
      const patched = await logits(model, patch);
      // A head's share is exchanged by adding the difference, which is exactly zero here.
      expect(gap(patched, own.logits!.data)).toBeLessThan(hook.startsWith('attn_pattern') ? 2e-6 : 1e-6);
    }
  });

  it('that patch in another run everywhere make its logits', async () => {
    const model = await openTiny(config);
    const other = randomRows([7, 7], 9);
    const source = await model.forward({ ids: other, taps: ['resid_post.1'] });
    const patched = await logits(model, {
      kind: 'replace',
      hook: 'resid_post.1',
      values: source.taps['resid_post.1']!.data,
    });
    expect(gap(patched, source.logits!.data)).toBeLessThan(1e-5);
  });
});

describe('projections', () => {
  it('twice are one, and leave nothing along the direction', async () => {
    const model = await openTiny(TINY.llama!);
    const direction = unit(16);
    const project: Intervention = { kind: 'project', hook: 'resid_mid.0', directions: direction };
    const once = await logits(model, project);
    expect(gap(await logits(model, project, project), once)).toBeLessThan(1e-5);
    const { taps } = await model.forward({ ids: IDS, taps: ['resid_mid.0'], interventions: [project] });
    const { data } = taps['resid_mid.0']!;
    for (let row = 0; row < 14; row++) {
      expect(Math.abs(direction.reduce((s, x, i) => s + x * data[row * 16 + i]!, 0))).toBeLessThan(1e-5);
    }
  });

  it('scale the component by their factor; a factor of 1 changes nothing', async () => {
    const model = await openTiny(TINY.llama!);
    const directions = unit(16);
    const read = async (factor: number) =>
      (
        await model.forward({
          ids: IDS,
          taps: ['mlp_out.0'],
          interventions: [{ kind: 'project', hook: 'mlp_out.0', directions, factor }],
        })
      ).taps['mlp_out.0']!.data;
    const plain = await read(1);
    const tripled = await read(3);
    for (let row = 0; row < 14; row++) {
      const along = (data: Float32Array) => directions.reduce((s, x, i) => s + x * data[row * 16 + i]!, 0);
      expect(along(tripled)).toBeCloseTo(3 * along(plain), 4);
    }
    expect(
      gap(await logits(model, { kind: 'project', hook: 'mlp_out.0', directions, factor: 1 }), await logits(model)),
    ).toBeLessThan(1e-6);
  });

  it('of every write to the stream equal orthogonalised weights', async () => {
    const model = await openTiny(TINY.llama!);
    const d = unit(16);
    const { folder } = model;
    const remove = (name: string, columns: boolean) => {
      const w = readWeight(folder, name).slice();
      const [rows, inner] = columns ? [16, w.length / 16] : [w.length / 16, 16];
      // Stored [out, in]: each column is a write; an embedding row is one.
      for (let i = 0; i < (columns ? inner : rows); i++) {
        const at = (k: number) => (columns ? k * inner + i : i * 16 + k);
        let dot = 0;
        for (let k = 0; k < 16; k++) {
          dot += d[k]! * w[at(k)]!;
        }
        for (let k = 0; k < 16; k++) {
          w[at(k)]! -= dot * d[k]!;
        }
      }
      return w;
    };
    const edited = `${folder.path}-edited`;
    saveFolder(
      edited,
      folder.architecture,
      (name) =>
        name === 'model.embed_tokens.weight'
          ? remove(name, false)
          : /o_proj.weight|down_proj.weight/.test(name)
            ? remove(name, true)
            : readWeight(folder, name),
      { config: folder.config },
    );
    const byWeights = await loadModel(edited, { threads: 1 });
    // The output projections have biases here, which the weights' edit leaves alone, so project what they add by hook.
    const bias = (name: string) => readWeight(folder, name);
    const hooks: Intervention[] = ['resid_pre.0', 'attn_out.0', 'mlp_out.0', 'attn_out.1', 'mlp_out.1'].flatMap(
      (hook) => {
        const project: Intervention = { kind: 'project', hook, directions: d };
        const layer = folder.weights.layers[Number(hook.at(-1))]!;
        const stored = hook.startsWith('attn_out') ? layer.output.bias : null;
        if (!stored) {
          return [project];
        }
        const b = bias(stored.name);
        const dot = b.reduce((s, x, i) => s + x * d[i]!, 0);
        return [project, { kind: 'add', hook, vector: d, strength: dot } satisfies Intervention];
      },
    );
    const [a, b] = [await logits(model, ...hooks), await logits(byWeights)];
    await byWeights.release();
    expect(gap(a, b)).toBeLessThan(2e-5);
    expect(gap(a, await logits(model))).toBeGreaterThan(1e-3);
  });
});

describe('rows of one batch', () => {
  it('carry their own vectors, strengths and positions', async () => {
    const model = await openTiny(TINY.qwen3!);
    const [one, two] = [vector(16, 'one'), vector(16, 'two')];
    const both = Float32Array.of(...one, ...two);
    const positions = Uint8Array.from({ length: 14 }, (_, i) => Number(i % 7 > 2));
    const together = await logits(model, {
      kind: 'add',
      hook: 'resid_post.0',
      vector: both,
      strength: [3, -1],
      positions,
    });
    for (const [row, v, strength] of [
      [0, one, 3],
      [1, two, -1],
    ] as const) {
      const alone = await model.forward({
        ids: [IDS[row]!],
        interventions: [
          { kind: 'add', hook: 'resid_post.0', vector: v, strength, positions: positions.subarray(0, 7) },
        ],
      });
      expect(gap(together.subarray(row * 7 * 61, (row + 1) * 7 * 61), alone.logits!.data)).toBeLessThan(1e-5);
    }
  });

  it('are rewritten at marked positions only', async () => {
    const model = await openTiny(TINY.gpt2!);
    const positions = new Uint8Array(14);
    positions[3] = 1;
    const [plain, edited] = await Promise.all([
      logits(model),
      logits(model, { kind: 'replace', hook: 'resid_post.1', values: vector(16), positions }),
    ]);
    const changed = new Set<number>();
    for (const [i, x] of plain.entries()) {
      if (Math.abs(x - edited[i]!) > 1e-5) {
        changed.add(Math.floor(i / 61));
      }
    }
    expect([...changed]).toEqual([3]);
  });
});

describe('splices', () => {
  it('put any function in place; the identity changes nothing', async () => {
    const model = await openTiny(TINY.llama!);
    const plain = await logits(model);
    expect(
      gap(await logits(model, { kind: 'splice', hook: 'resid_post.0', key: 'identity', build: (x) => x }), plain),
    ).toBe(0);
    const doubled = await logits(model, {
      kind: 'splice',
      hook: 'resid_post.0',
      key: 'affine',
      build: (x, feed) => g.add(g.mul(x, 2), feed('shift', [16])),
      feeds: { shift: vector(16) },
    });
    const { taps } = await model.forward({ ids: IDS, taps: ['resid_post.0'] });
    const values = taps['resid_post.0']!.data.map((x, i) => 2 * x + vector(16)[i % 16]!);
    expect(gap(doubled, await logits(model, { kind: 'replace', hook: 'resid_post.0', values }))).toBeLessThan(1e-5);
  });
});

describe('what does not fit', () => {
  it.each<[string, Intervention]>([
    ['a vector of another width', { kind: 'add', hook: 'resid_post.0', vector: new Float32Array(15) }],
    [
      'directions that are not orthonormal',
      { kind: 'project', hook: 'resid_post.0', directions: new Float32Array(16).fill(1) },
    ],
    [
      'a mask of another size',
      { kind: 'add', hook: 'resid_post.0', vector: new Float32Array(16), positions: new Uint8Array(3) },
    ],
    [
      'factors for other rows',
      { kind: 'add', hook: 'resid_post.0', vector: new Float32Array(16), strength: [1, 2, 3] },
    ],
    ['a vector for attention patterns', { kind: 'add', hook: 'attn_pattern.0', vector: new Float32Array(16) }],
  ])('is refused: %s', async (_what, intervention) => {
    const model = await openTiny(TINY.llama!);
    await expect(logits(model, intervention)).rejects.toMatchObject({ code: 'width_mismatch' });
    expect(readFolder(model.folder.path).architecture.width).toBe(16);
  });
});

describe('caps and conditions', () => {
  const hook = 'resid_post.0';
  const along = (data: Float32Array, d: Float32Array) =>
    Array.from({ length: 14 }, (_, row) => d.reduce((sum, x, i) => sum + x * data[row * 16 + i]!, 0));
  const read = async (model: LanguageModel, ...interventions: Intervention[]) =>
    (await model.forward({ ids: IDS, taps: [hook], interventions })).taps[hook]!.data;

  it('bring projections between their bounds, and leave the others and what is across them alone', async () => {
    const model = await openTiny(TINY.llama!);
    const direction = unit(16);
    const plain = await read(model);
    const before = along(plain, direction);
    const [least, most] = [-0.1, 0.05];
    expect(before.some((p) => p < least) && before.some((p) => p > most)).toBe(true);
    const capped = await read(model, { kind: 'cap', hook, direction, least, most });
    expect(
      gap(
        along(capped, direction),
        before.map((p) => Math.min(most, Math.max(least, p))),
      ),
    ).toBeLessThan(1e-6);
    const across = unit(16, 'w');
    const dot = across.reduce((sum, x, i) => sum + x * direction[i]!, 0);
    const rest = across.map((x, i) => x - dot * direction[i]!);
    expect(gap(along(capped, rest), along(plain, rest))).toBeLessThan(1e-6);
    expect(gap(await read(model, { kind: 'cap', hook, direction, most: 1e6 }), plain)).toBe(0);
    const wrong: Intervention = { kind: 'cap', hook, direction, least: 1, most: 0 };
    await expect(read(model, wrong)).rejects.toMatchObject({ code: 'width_mismatch' });
  });

  it('steer those positions alone at which the probe is above its threshold, each row by its own', async () => {
    const model = await openTiny(TINY.llama!);
    const [probe, added] = [unit(16, 'probe'), vector(16)];
    const plain = await read(model);
    const projections = along(plain, probe);
    const middle = (row: number) => [...projections.slice(row * 7, row * 7 + 7)].sort((a, b) => a - b)[3]! + 1e-6;
    const above = [middle(0), middle(1)];
    const steered = await read(model, {
      kind: 'add',
      hook,
      vector: added,
      strength: 0.5,
      condition: { direction: probe, above },
    });
    const expected = Float32Array.from(plain, (x, i) => {
      const position = Math.floor(i / 16);
      return projections[position]! > above[Math.floor(position / 7)]! ? x + 0.5 * added[i % 16]! : x;
    });
    expect(gap(steered, expected)).toBeLessThan(1e-6);
    expect(gap(expected, plain)).toBeGreaterThan(0.01);
  });

  it('of a value that no position reaches change no bit', async () => {
    const model = await openTiny(TINY.llama!);
    const condition = { direction: unit(16), above: 1e6 };
    const never: Intervention = { kind: 'add', hook, vector: vector(16), condition };
    expect(gap(await logits(model, never), await logits(model))).toBe(0);
  });
});
