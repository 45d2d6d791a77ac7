/** A repaired copy as it is stored: dense, or with the edit beside matrices that stay as they were; and what that costs. */
import { cpSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import {
  everyLinear,
  type LanguageModel,
  loadModel,
  readWeight,
  SIDE_PATHS_FILE,
  type SidePaths,
  sidePathFile,
  writeEditedFolder,
} from '../../lm/index.ts';
import { lastLogits, type Row } from '../rows.ts';
import { merged } from './weight-edits.ts';

type Store = 'dense' | 'side_path';

const zerosOf = (values: Float32Array): number => values.reduce((count, value) => count + Number(value === 0), 0);

/** Zeros and bits before and after; an edit beside a matrix leaves its zeros alone. */
export function weightAccount(copy: LanguageModel, paths: SidePaths, store: Store) {
  const { folder } = copy;
  const { weights } = merged(folder, paths);
  const matrices = [];
  let [zeros, left, numbers, added] = [0, 0, 0, 0];
  for (const { weight } of folder.weights.layers.flatMap(everyLinear)) {
    const before = readWeight(folder, weight.name);
    const after = (store === 'dense' && weights.get(weight.name)) || before;
    const [was, is] = [zerosOf(before), zerosOf(after)];
    zeros += was;
    left += is;
    numbers += before.length;
    const path = paths.get(weight.name);
    if (!path) {
      continue;
    }
    const { pair, constant } = path;
    const beside = (pair ? pair.left.length + pair.right.length : 0) + (constant?.length ?? 0);
    added += beside;
    matrices.push({
      name: weight.name,
      sparsity_before: was / before.length,
      sparsity_after: is / before.length,
      side_path_numbers: beside,
    });
  }
  const bits = folder.storage?.bits ?? null;
  return {
    matrices,
    sparsity_before: zeros / numbers,
    sparsity_after: left / numbers,
    bits_before: bits,
    bits_after: bits !== null && store === 'side_path' ? bits + (32 * added) / numbers : null,
  };
}

/**
 * Writes the repaired model.
 * @param source the folder that the copy was opened from, packed as it may be
 * @throws SextantError `model_unsupported` where the edit cannot lie beside the stored weights
 */
export function writeRepaired(
  copy: LanguageModel,
  paths: SidePaths,
  store: Store,
  { source, to }: { source: string; to: string },
): void {
  if (store === 'dense') {
    const { weights, left } = merged(copy.folder, paths);
    writeEditedFolder(copy.folder, to, weights);
    if (left.size > 0) {
      writeFileSync(join(to, SIDE_PATHS_FILE), sidePathFile(left));
    }
    return;
  }
  if (!statSync(source).isDirectory() || existsSync(join(source, SIDE_PATHS_FILE))) {
    throw new SextantError(
      'model_unsupported',
      '/store: the copy is one file, or has side paths already; store it dense instead',
    );
  }
  rmSync(to, { recursive: true, force: true });
  cpSync(source, to, { recursive: true, dereference: true });
  writeFileSync(join(to, SIDE_PATHS_FILE), sidePathFile(paths));
}

/** Largest difference of logits between the stored model and the copy with the paths beside it. */
export async function storedGap(
  copy: LanguageModel,
  paths: SidePaths,
  folder: string,
  prompts: readonly Row[],
  scratch: string,
): Promise<number> {
  const beside = copy.withSidePaths(paths);
  const stored = await loadModel(folder, { device: copy.device, scratch });
  try {
    const [a, b] = [await lastLogits(beside, prompts), await lastLogits(stored, prompts)];
    return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
  } finally {
    await beside.programs.release();
    await stored.release();
  }
}
