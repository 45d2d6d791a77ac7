/**
 * `verify -- layouts DIR`: opens every model that `DIR/expected.json` names, in whatever layout it is stored, and compares
 * its logits, its loss and its dense weights with what is stored there. Prints one JSON object as its last line.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, normalize, sep } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type LanguageModel, loadModel, type ModelFolder, readWeight } from '../lm/index.ts';
import { type Device, differences, INCOMPARABLE, Report } from './report.ts';

type Reading = { logits_last: number[][]; mean_prompt_loss: number };
type StoredWeight = {
  shape: number[];
  sum: number;
  abs_sum: number;
  zeros: number;
  first4: number[];
  last4: number[];
};
type ExpectedModel = Reading & { weights: Record<string, StoredWeight>; rounded_to_float16?: Reading };
type Expected = { ids: number[][]; models: Record<string, ExpectedModel> };

const LIMITS = { logits: 1e-4, loss: 1e-4, weights: 1e-5 } as const;

/** Runs the comparison; used by the command and by the tests. */
export async function compareLayouts(dir: string, device: Device): Promise<Report> {
  const expected = JSON.parse(readFileSync(join(dir, 'expected.json'), 'utf8')) as Expected;
  const report = new Report('layouts', dir, device);
  for (const [path, stored] of Object.entries(expected.models)) {
    try {
      await compareModel(report, path, join(dir, inside(path)), stored, expected.ids);
    } catch (error) {
      const code = error instanceof SextantError ? error.code : (error as { code?: string }).code;
      if (code === undefined) {
        throw error;
      }
      for (const [item, limit] of Object.entries(LIMITS)) {
        report.failed(`${path}/${item}`, limit, code);
      }
      report.note(path, `${code}: ${(error as Error).message}`);
    }
  }
  return report;
}

/** A path of the file, which may not lead out of its folder. */
function inside(path: string): string {
  const clean = normalize(path);
  if (clean.startsWith('..') || clean.startsWith(sep)) {
    throw new SextantError('model_unknown', `'${path}' leaves the folder`);
  }
  return clean;
}

async function compareModel(
  report: Report,
  path: string,
  at: string,
  stored: ExpectedModel,
  ids: readonly number[][],
): Promise<void> {
  if (!existsSync(at)) {
    throw new SextantError('model_unknown', `there is no '${path}'`);
  }
  const model = await loadModel(at, { device: report.device });
  try {
    const { storage } = model.folder;
    report.note(
      `${path}/storage`,
      storage
        ? [
            `${storage.layout} ${storage.bits ?? 'mixed'} bits`,
            storage.group === null ? 'no groups' : `group ${storage.group}`,
            `${storage.bytes} bytes`,
            ...storage.notices,
          ].join(', ')
        : `dense, ${model.folder.bytes} bytes`,
    );
    const ours = await readingOf(model, ids);
    // The publisher's own runtime may round the dense weights to float16; those numbers count as well.
    const readings = [stored, ...(stored.rounded_to_float16 ? [stored.rounded_to_float16] : [])];
    const closest = (of: (reading: Reading) => { abs: number; rel: number }) =>
      readings.map(of).reduce((best, gap) => (gap.rel < best.rel ? gap : best));
    report.measured(
      `${path}/logits`,
      closest(({ logits_last }) => differences(ours.logits, logits_last.flat())),
      LIMITS.logits,
    );
    report.measured(
      `${path}/loss`,
      closest(({ mean_prompt_loss }) => differences([ours.loss], [mean_prompt_loss])),
      LIMITS.loss,
    );
    compareWeights(report, path, model.folder, stored.weights);
  } finally {
    await model.release();
  }
}

/** Logits at each prompt's last position, and the mean over the prompts of their mean loss. */
async function readingOf(model: LanguageModel, ids: readonly number[][]): Promise<{ logits: number[]; loss: number }> {
  const logits: number[] = [];
  let loss = 0;
  for (const row of ids) {
    const out = await model.forward({ ids: [row], logits: 'last', losses: true });
    logits.push(...out.logits!.data);
    const known = out.losses!.filter((value) => !Number.isNaN(value));
    loss += known.reduce((sum, value) => sum + value, 0) / known.length / ids.length;
  }
  return { logits, loss };
}

/** Sums, zeros and ends of every tensor of the dense reading, added up in double precision. */
function compareWeights(report: Report, path: string, folder: ModelFolder, stored: ExpectedModel['weights']): void {
  const head = folder.weights.head.weight.name;
  const nameOf = (name: string) => (folder.stored.has(name) ? name : name === 'lm_head.weight' ? head : null);
  let worst = { abs: 0, rel: 0 };
  const wrong: string[] = [];
  let [zerosEqual, shapesEqual] = [true, true];
  for (const [name, wanted] of Object.entries(stored)) {
    const own = nameOf(name);
    const shape = own === null ? null : folder.stored.get(own)!.shape;
    if (own === null || shape?.join() !== wanted.shape.join()) {
      [shapesEqual, zerosEqual] = [false, false];
      worst = { abs: INCOMPARABLE, rel: INCOMPARABLE };
      wrong.push(name);
      continue;
    }
    const values = readWeight(folder, own);
    let [sum, size, zeros] = [0, 0, 0];
    for (const value of values) {
      sum += value;
      size += Math.abs(value);
      if (value === 0) {
        zeros++;
      }
    }
    if (zeros !== wanted.zeros) {
      zerosEqual = false;
      wrong.push(`${name} (${zeros} zeros, stored ${wanted.zeros})`);
    }
    const gap = Math.max(Math.abs(sum - wanted.sum), Math.abs(size - wanted.abs_sum));
    const totals = { abs: gap, rel: gap / Math.max(wanted.abs_sum, 1e-30) };
    const ends = differences([...values.subarray(0, 4), ...values.subarray(-4)], [...wanted.first4, ...wanted.last4]);
    for (const found of [totals, ends]) {
      if (!(found.rel <= worst.rel)) {
        worst = Number.isNaN(found.rel) ? { abs: INCOMPARABLE, rel: INCOMPARABLE } : found;
      }
    }
  }
  report.measured(`${path}/weights`, worst, LIMITS.weights);
  report.exact(`${path}/zeros`, zerosEqual);
  report.exact(`${path}/shapes`, shapesEqual);
  if (wrong.length > 0) {
    report.note(`${path}/weights`, wrong.slice(0, 8).join('; '));
  }
}
