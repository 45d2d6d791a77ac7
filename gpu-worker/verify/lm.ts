/**
 * `verify -- lm DIR [--expected FILE] [--device cpu|webgpu]`: compares the model in DIR with reference outputs and
 * prints one JSON object as its last line. Tensors that FILE does not have are skipped (their number is null).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readSafetensors, type Safetensors } from '../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../shared/formats/safetensors-values.ts';
import { familyOf } from '../../shared/models/describe.ts';
import { generate, type LanguageModel, loadModel, weightGradients } from '../lm/index.ts';
import { chooseProvider } from '../runtime/index.ts';

export type Comparison = {
  /** Largest absolute difference. */
  logits: number | null;
  /** Largest difference of a hidden state, relative to that state's largest entry. */
  hidden: number | null;
  /** Largest absolute difference of a router's logits, in layers of experts. */
  router: number | null;
  loss: number | null;
  /** Largest difference of a gradient, relative to that gradient's largest entry. */
  gradients: number | null;
  greedy: boolean | null;
  device: string;
};

/** Runs the comparison; used by the command and by the tests. */
export async function compareModel(
  folder: string,
  expected: Safetensors,
  device: 'cpu' | 'webgpu',
): Promise<Comparison> {
  const model = await loadModel(folder, { device });
  try {
    const rows = integerRows(expected, 'input_ids');
    const has = (name: string) => expected.header.tensors.has(name);
    const { layers } = model.architecture;
    const states = Array.from({ length: layers }, (_, layer) => `resid_pre.${layer}`);
    const routers = [...expected.header.tensors.keys()].filter((name) => name.startsWith('router.'));
    const out = await model.forward({ ids: rows, taps: [...states, ...routers], losses: true, final: true });
    const hidden = [...states.map((hook) => out.taps[hook]!), out.final!]
      .map((state, i) => [`hidden.${i}`, state.data] as const)
      .filter(([name]) => has(name))
      .map(([name, state]) => relativeDifference(state, expected.float32(name)));
    return {
      logits: has('logits') ? difference(out.logits!.data, expected.float32('logits')) : null,
      hidden: hidden.length > 0 ? Math.max(...hidden) : null,
      router:
        routers.length > 0
          ? Math.max(...routers.map((name) => difference(out.taps[name]!.data, expected.float32(name))))
          : null,
      loss: has('loss') ? Math.abs(meanLoss(out.losses!) - expected.float32('loss')[0]!) : null,
      gradients: await compareGradients(model, rows, expected, device),
      greedy: has('greedy') ? await compareGreedy(model, rows[0]!, integerRows(expected, 'greedy')[0]!) : null,
      device,
    };
  } finally {
    await model.release();
  }
}

async function compareGradients(
  model: LanguageModel,
  rows: number[][],
  expected: Safetensors,
  device: 'cpu' | 'webgpu',
): Promise<number | null> {
  const names = [...expected.header.tensors.keys()].filter((name) => name.startsWith('grad.'));
  if (names.length === 0) {
    return null;
  }
  const { gradients } = await weightGradients(model.folder, rows, { device });
  for (const [name, alias] of Object.entries(familyOf(model.architecture.family).aliases ?? {})) {
    if (gradients.has(name)) {
      gradients.set(alias, gradients.get(name)!);
    }
  }
  return Math.max(
    ...names.map((name) => {
      const found = gradients.get(name.slice('grad.'.length));
      return found ? relativeDifference(found, expected.float32(name)) : INCOMPARABLE;
    }),
  );
}

/** The prompt is what the decoded sequence and the first row have in common. */
async function compareGreedy(model: LanguageModel, row: number[], decoded: number[]): Promise<boolean> {
  let common = 0;
  while (common < row.length && common < decoded.length && row[common] === decoded[common]) {
    common++;
  }
  const [result] = await generate(model, [decoded.slice(0, common)], {
    maxTokens: decoded.length - common,
    stopTokens: [],
  });
  return result!.tokens.join() === decoded.slice(common).join();
}

function integerRows(file: Safetensors, name: string): number[][] {
  const [rows, length] = file.shape(name) as [number, number];
  const values = toFloat64(file.bytes(name), file.header.tensors.get(name)!.dtype);
  return Array.from({ length: rows }, (_, row) => Array.from(values.subarray(row * length, (row + 1) * length)));
}

const meanLoss = (losses: Float32Array): number => {
  const known = losses.filter((loss) => !Number.isNaN(loss));
  return known.reduce((sum, loss) => sum + loss, 0) / known.length;
};

/** Stands for tensors that cannot be compared or hold NaN; JSON has no infinity, and null means "not asked for". */
const INCOMPARABLE = Number.MAX_VALUE;

function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) {
    return INCOMPARABLE;
  }
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const gap = Math.abs(a[i]! - b[i]!);
    if (Number.isNaN(gap)) {
      return INCOMPARABLE;
    }
    largest = Math.max(largest, gap);
  }
  return largest;
}

function relativeDifference(a: Float32Array, b: Float32Array): number {
  const gap = difference(a, b);
  if (gap === 0 || gap === INCOMPARABLE) {
    return gap;
  }
  return gap / b.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
}

/** The command. Exit status 0 when the comparison ran, 1 where the model or the device cannot be used, 2 on bad usage. */
export async function verifyLm(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { expected: { type: 'string' }, device: { type: 'string', default: 'cpu' } },
  });
  const [folder] = positionals;
  if (!folder || (values.device !== 'cpu' && values.device !== 'webgpu')) {
    console.error('usage: verify -- lm DIR [--expected FILE] [--device cpu|webgpu]');
    process.exit(2);
  }
  try {
    await chooseProvider(values.device);
    const expected = readSafetensors(readFileSync(values.expected ?? join(folder, 'expected.safetensors')));
    console.log(JSON.stringify(await compareModel(folder, expected, values.device)));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined) {
      throw error;
    }
    console.error(`${code}: ${message}`);
    process.exitCode = 1;
  }
}
