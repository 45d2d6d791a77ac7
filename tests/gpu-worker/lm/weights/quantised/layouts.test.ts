import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadModel } from '../../../../../gpu-worker/lm/inference/model.ts';
import { discardFolder, readFolder, readWeight } from '../../../../../gpu-worker/lm/weights/folder.ts';
import {
  awq,
  fp8Blocks,
  gptq,
  nf4,
  packQuantized,
  quantisedModel,
  type Written,
} from '../../../../support/quantised-model.ts';
import { gap, randomRows } from '../../../../support/tiny-model.ts';

function written(...args: Parameters<typeof quantisedModel>): Written {
  const model = quantisedModel(...args);
  onTestFinished(model.remove);
  return model;
}

/** Largest difference of any weight from what its codes stand for, relative to float32's own steps. */
function distance({ path, dense }: Written): number {
  const folder = readFolder(path);
  const gaps = [...dense].map(([name, values]) => gap(readWeight(folder, name), values));
  discardFolder(folder);
  return Math.max(...gaps);
}

const storageOf = (path: string) => {
  const folder = readFolder(path);
  discardFolder(folder);
  return folder.storage!;
};

describe('a folder with quantised weights', () => {
  it.each([
    ['GPTQ, 4 bits', gptq()],
    ['GPTQ, 3 bits over word boundaries', gptq({ bits: 3, group: 32 })],
    ['GPTQ, 2 bits', gptq({ bits: 2, group: 8 })],
    ['GPTQ, 8 bits, second format', gptq({ bits: 8, v2: true })],
    ['GPTQ, columns in another order', gptq({ actOrder: true })],
    ['AWQ', awq()],
    ['compressed-tensors, 4 bits', packQuantized()],
    ['compressed-tensors, 5 bits as a bit string', packQuantized({ bits: 5 })],
    ['compressed-tensors, symmetric', packQuantized({ symmetric: true, bits: 8 })],
    ['bitsandbytes nf4', nf4()],
    ['FP8 with partial blocks', fp8Blocks()],
  ])('is read dense: %s', async (_, layout) => {
    expect(distance(written(layout))).toBeLessThan(1e-7);
  });

  it('computes what its dense weights compute, and gives its dense copy back', async () => {
    const model = await loadModel(written(gptq()).path, { threads: 1 });
    const { path } = model.folder;
    const { logits } = await model.forward({ ids: randomRows([7]) });
    expect(logits!.data.every(Number.isFinite)).toBe(true);
    await model.release();
    expect(() => readFileSync(join(path, 'config.json'))).toThrow(/ENOENT/);
  });

  it('says how it was stored', () => {
    expect(storageOf(written(packQuantized()).path)).toMatchObject({
      layout: 'compressed-tensors pack-quantized',
      bits: 4,
      group: 16,
      notices: [],
    });
  });

  it('may have its settings in quantize_config.json alone', () => {
    expect(distance(written(gptq(), { settingsFile: 'quantize_config.json' }))).toBeLessThan(1e-7);
  });

  it.each([
    ['gptq_v2', false],
    ['gptq', true],
  ])('is read by its zero points where the label %s lies', (label, v2) => {
    const lying = written(gptq({ symmetric: true, v2, label }));
    expect(distance(lying)).toBeLessThan(1e-7);
    expect(storageOf(lying.path).notices.join()).toMatch(/^labelled gptq/);
  });

  it('says that quantised activations were asked for', () => {
    expect(storageOf(written(packQuantized({ activations: true })).path).notices.join()).toMatch(/8 bits/);
  });

  const change = (path: string, edit: (settings: Record<string, unknown>) => void): void => {
    const file = join(path, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as { quantization_config: Record<string, unknown> };
    edit(config.quantization_config);
    writeFileSync(file, JSON.stringify(config));
  };

  it.each(['mxfp4', 'hqq', 'modelopt'])('is refused by the name of its method: %s', (method) => {
    const { path } = written(gptq());
    change(path, (settings) => {
      settings.quant_method = method;
    });
    expect(() => readFolder(path)).toThrow(new RegExp(`'${method}' are not supported`));
  });

  it.each([
    ['marlin', gptq(), 'checkpoint_format'],
    ['gemv', awq(), 'version'],
    ['nvfp4-pack-quantized', packQuantized(), 'format'],
  ] as const)('is refused by the name of its format: %s', (format, layout, field) => {
    const { path } = written(layout);
    change(path, (settings) => {
      settings[field] = format;
    });
    expect(() => readFolder(path)).toThrow(new RegExp(`format '${format}'`));
  });
});
