/**
 * A GPT-2 that is linear in its stream, by its weights: queries and keys are zero, so that attention is even; the units of the MLPs
 * never switch off; and a large constant in two entries of the stream, which no part reads or writes, fixes the norms' scales.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type LanguageModel, loadModel } from '../../gpu-worker/lm/index.ts';
import { saveFolder } from '../../gpu-worker/lm/weights/save.ts';
import { stream } from '../../shared/math/random.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';
import { TINY } from './tiny-model.ts';

const CONSTANT = 100;

export async function linearModel(): Promise<LanguageModel> {
  const config = { ...TINY.gpt2!, activation_function: 'relu' };
  const a = parseArchitecture(config);
  const parent = mkdtempSync(join(tmpdir(), 'sextant-linear-'));
  const folder = join(parent, 'model');
  const shapes = new Map(listWeights(familyOf(a.family).weights(a)).map(({ name, shape }) => [name, shape]));
  const width = a.width;
  // The norm divides by the root mean square, which the constant decides; its weight takes that back.
  const scale = CONSTANT * Math.sqrt(2 / width);
  saveFolder(
    folder,
    a,
    (name) => {
      const shape = shapes.get(name)!;
      const size = shape.reduce((product, n) => product * n, 1);
      const columns = shape.at(-1)!;
      const random = Float32Array.from(stream(2, name).normal(size, { deviation: 0.3 }));
      const at = (i: number) => ({ row: Math.floor(i / columns), column: i % columns });
      if (name.includes('wte') || name.includes('wpe')) {
        return random.map((x, i) =>
          at(i).column < 2 ? (name.includes('wpe') ? CONSTANT * (1 - 2 * at(i).column) : 0) : 0.3 * x,
        );
      }
      if (/ln_(1|2|f)\.weight$/.test(name)) {
        return random.map(() => scale);
      }
      if (/ln_(1|2|f)\.bias$/.test(name)) {
        return random.map(() => 0);
      }
      const reads = /c_attn\.weight$|c_fc\.weight$/.test(name);
      const writes = /c_proj\.(weight|bias)$/.test(name);
      return random.map((x, i) => {
        const { row, column } = at(i);
        if (/c_attn/.test(name) && column < 2 * width) {
          return 0;
        }
        if (/c_fc\.bias$/.test(name)) {
          return 4;
        }
        return (reads && row < 2) || (writes && column < 2) ? 0 : name.includes('mlp') ? 0.2 * x : x;
      });
    },
    { config },
  );
  const model = await loadModel(folder, { threads: 1 });
  onTestFinished(async () => {
    await model.release();
    rmSync(parent, { recursive: true });
  });
  return model;
}
