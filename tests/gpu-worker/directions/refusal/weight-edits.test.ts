import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { unitVector } from '../../../../gpu-worker/directions/difference-in-means.ts';
import { ablation } from '../../../../gpu-worker/directions/refusal/interventions.ts';
import { repairPaths } from '../../../../gpu-worker/directions/refusal/repair-edits.ts';
import {
  ablatedWeights,
  hasPostNorms,
  merged,
  scaledWriters,
} from '../../../../gpu-worker/directions/refusal/weight-edits.ts';
import {
  type LanguageModel,
  loadModel,
  readWeight,
  SIDE_PATHS_FILE,
  type SidePath,
  sidePathFile,
  writeEditedFolder,
} from '../../../../gpu-worker/lm/index.ts';
import { stream } from '../../../../shared/math/random.ts';
import { gap, randomRows, TINY, tinyModel } from '../../../support/tiny-model.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sextant-edits-'));
afterAll(() => rmSync(scratch, { recursive: true }));
let made = 0;

const IDS = randomRows([9, 9, 9]);
const logitsOf = async (model: LanguageModel, interventions: ReturnType<typeof ablation> = []) =>
  (await model.forward({ ids: IDS, interventions })).logits!.data;
const directionOf = (model: LanguageModel, seed = 7) =>
  unitVector(stream(seed, 'direction').normal(model.architecture.width));

async function opened(family: string): Promise<{ model: LanguageModel; close: () => Promise<void> }> {
  const { folder, remove } = tinyModel(TINY[family]!);
  const model = await loadModel(folder);
  return {
    model,
    close: async () => {
      await model.release();
      remove();
    },
  };
}

/** Logits of a copy with these weights. */
async function written(model: LanguageModel, edited: ReadonlyMap<string, Float32Array>): Promise<Float32Array> {
  const folder = join(scratch, `copy-${made++}`);
  writeEditedFolder(model.folder, folder, edited);
  const copy = await loadModel(folder);
  const logits = await logitsOf(copy);
  await copy.release();
  return logits;
}

const FAMILIES = Object.keys(TINY);

describe.each(FAMILIES)('%s', (family) => {
  it('gives equal logits by hooks and in the weights, unless norms follow; linear and affine', async () => {
    const { model, close } = await opened(family);
    const unit = directionOf(model);
    for (const mean of [0, 1.5]) {
      const hooked = await logitsOf(model, ablation(model.architecture.layers, { unit, mean }));
      const inWeights = await written(model, ablatedWeights(model.folder, unit, mean));
      const difference = gap(hooked, inWeights);
      if (hasPostNorms(model.folder)) {
        expect(difference).toBeGreaterThan(1e-3);
      } else {
        expect(difference).toBeLessThan(1e-4);
      }
    }
    await close();
  });

  it('edits what every attention and every MLP or expert writes', async () => {
    const { model, close } = await opened(family);
    const { layers, experts } = model.architecture;
    const edited = scaledWriters(model.folder, directionOf(model), 0);
    expect(edited.size).toBe(layers * (1 + (experts?.count ?? 1)));
    await close();
  });

  it('restores every logit after attenuation by gamma with alpha = 1/gamma - 1', async () => {
    const { model, close } = await opened(family);
    const unit = directionOf(model);
    const plain = await logitsOf(model);
    const gamma = 0.4;
    const folder = join(scratch, `weak-${made++}`);
    writeEditedFolder(model.folder, folder, merged(model.folder, scaledWriters(model.folder, unit, gamma)).weights);
    const weak = await loadModel(folder);
    expect(gap(await logitsOf(weak), plain)).toBeGreaterThan(1e-3);
    const edit = { vector: unit, block: 0, halves: ['attention', 'mlp'] as const, base: model.folder };
    const paths = repairPaths(weak.folder, { ...edit, variant: 'D', alpha: 1 / gamma - 1 });
    expect(gap(await written(weak, merged(weak.folder, paths).weights), plain)).toBeLessThan(1e-4);
    await weak.release();
    await close();
  });

  it('changes nothing by alpha 0 or gamma 1', async () => {
    const { model, close } = await opened(family);
    const unit = directionOf(model);
    const plain = await logitsOf(model);
    const edit = { vector: unit, block: 1, halves: ['attention', 'mlp'] as const, base: model.folder, alpha: 0 };
    for (const variant of ['A', 'B', 'C', 'D'] as const) {
      const { weights } = merged(model.folder, repairPaths(model.folder, { ...edit, variant }));
      expect(await written(model, weights)).toEqual(plain);
    }
    expect(await written(model, merged(model.folder, scaledWriters(model.folder, unit, 1)).weights)).toEqual(plain);
    await close();
  });
});

describe('a path beside the matrices', () => {
  const paths = (model: LanguageModel, variant: 'A' | 'C') =>
    repairPaths(model.folder, {
      variant,
      alpha: 2,
      block: 1,
      halves: ['attention', 'mlp'],
      vector: directionOf(model),
      base: model.folder,
    });

  it.each(['llama', 'gpt2', 'gemma2', 'mixtral'])(
    'gives the logits of the dense edit in %s, and takes out + in numbers',
    async (family) => {
      const { model, close } = await opened(family);
      const beside = paths(model, 'A');
      const dense = await written(model, merged(model.folder, beside).weights);
      const repaired = model.withSidePaths(beside);
      expect(gap(await logitsOf(repaired), dense)).toBeLessThan(1e-5);
      expect(gap(dense, await logitsOf(model))).toBeGreaterThan(1e-3);
      for (const [name, path] of beside) {
        const [rows, columns] = model.folder.stored.get(name)!.shape as [number, number];
        expect(path.pair!.left.length + path.pair!.right.length).toBe(rows + columns);
      }
      await repaired.programs.release();
      await close();
    },
  );

  it.each(['A', 'C'] as const)('is stored in a file of the folder and read with it: variant %s', async (variant) => {
    const { model, close } = await opened('llama');
    const beside = paths(model, variant);
    const folder = join(scratch, `beside-${made++}`);
    writeEditedFolder(model.folder, folder, new Map());
    writeFileSync(join(folder, SIDE_PATHS_FILE), sidePathFile(beside));
    const stored = await loadModel(folder);
    const repaired = model.withSidePaths(beside);
    expect(await logitsOf(stored)).toEqual(await logitsOf(repaired));
    const [name, path] = [...beside][0] as [string, SidePath];
    if (path.constant) {
      expect(() => readWeight(stored.folder, name)).toThrow(/constant beside it/);
    } else {
      expect(readWeight(stored.folder, name)).toEqual(merged(model.folder, beside).weights.get(name));
    }
    await stored.release();
    await repaired.programs.release();
    await close();
  });

  it('is refused where it does not fit the model', async () => {
    const { model, close } = await opened('llama');
    const folder = join(scratch, `unfit-${made++}`);
    writeEditedFolder(model.folder, folder, new Map());
    const vector = new Float32Array(5);
    const refused = (name: string) => {
      const file = sidePathFile(new Map([[name, { pair: null, constant: vector }]]));
      writeFileSync(join(folder, SIDE_PATHS_FILE), file);
      return expect(loadModel(folder)).rejects;
    };
    await refused('model.layers.0.mlp.down_proj.weight').toThrow(/has 5 of 16 numbers/);
    await refused('model.layers.9.mlp.down_proj.weight').toThrow(/no linear layer/);
    await close();
  });
});

it('keeps the matrix of a tied head where the embedding is edited', async () => {
  const { model, close } = await opened('qwen2');
  const { embedding } = model.folder.weights;
  const folder = join(scratch, `tied-${made++}`);
  writeEditedFolder(model.folder, folder, ablatedWeights(model.folder, directionOf(model)));
  const copy = await loadModel(folder);
  expect(model.architecture.tied && !copy.architecture.tied).toBe(true);
  expect(readWeight(copy.folder, copy.folder.weights.head.weight.name)).toEqual(
    readWeight(model.folder, embedding.name),
  );
  await copy.release();
  await close();
});
