/**
 * `verify -- sae DIR [--device cpu|webgpu]`: trains from `start.safetensors` every variant of autoencoder that DIR has a
 * reference file of, with the product's own training code and compares each step's loss and the final parameters with reference files. Prints one
 * JSON object as its last line. Hyper-parameters come from `DIR/recipe.json` where that file is there. The settings that ship,
 * which no reference file has, are compared with the formulas in float64, under `shipped`: every variant as a job trains it,
 * with clipping, learned thresholds and the auxiliary loss, for which latents count as dead after two batches here.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SextantError } from '../../shared/contracts/problem.ts';
import { readSafetensors, type Safetensors } from '../../shared/formats/safetensors.ts';
import { SAE_VARIANT_NAMES } from '../../shared/models/sae-variant-facts.ts';
import type { SaeVariant } from '../../shared/models/sae-variants.ts';
import { DenseTrainer, makeTrainer, type SaeParameters, saeConfiguration, VARIANTS } from '../sae/index.ts';
import { ReferenceTrainer } from './sae/reference-trainer.ts';

type Device = 'cpu' | 'webgpu';

const DEFAULTS = { lr: 3e-3, l1: 0.05, l0_coefficient: 0.01, bandwidth: 0.2, k: 4 };
export type ReplaySettings = typeof DEFAULTS;

/** Largest relative difference of a loss over all steps, and largest absolute difference of a parameter. */
export type SaeComparison = { loss: number; parameters: number };
type SaeComparisons = { [variant in SaeVariant]?: SaeComparison };
export type SaeReport = { device: Device; shipped: SaeComparisons } & SaeComparisons;

/** Runs the comparison; used by the command and by the tests. */
export async function compareSaes(folder: string, device: Device = 'cpu'): Promise<SaeReport> {
  const read = (name: string) => readSafetensors(readFileSync(join(folder, `${name}.safetensors`)));
  const settings = readSettings(join(folder, 'recipe.json'));
  const start = read('start');
  const variants = SAE_VARIANT_NAMES.filter((name) => existsSync(join(folder, `${name}.safetensors`)));
  if (variants.length === 0) {
    throw new SextantError('data_invalid', `${folder} has none of ${SAE_VARIANT_NAMES.join(', ')}.safetensors`);
  }
  const compared: SaeComparisons = {};
  for (const variant of variants) {
    compared[variant] = await replay(variant, start, read(variant), settings, device);
  }
  const shipped: SaeComparisons = {};
  for (const variant of SAE_VARIANT_NAMES) {
    shipped[variant] = await replayShipped(variant, start, settings.k, device);
  }
  return { ...compared, device, shipped };
}

/** Steps that the settings that ship are followed for; later, float32 has chosen other codes than float64 somewhere. */
const SHIPPED_STEPS = 10;

async function replayShipped(
  variant: SaeVariant,
  start: Safetensors,
  k: number,
  provider: Device,
): Promise<SaeComparison> {
  const [, rows, inputs] = start.shape('x') as [number, number, number];
  const given = parametersOf(start, VARIANTS[variant].learnsThreshold);
  const { width, threshold } = given;
  const of = { variant, inputs, width, k: Math.min(k, width), deadTokens: 2 * rows };
  const configuration = saeConfiguration(of);
  const parameters = { ...given, threshold: threshold?.map(() => configuration.threshold) ?? null };
  const reference = new ReferenceTrainer(configuration, parameters);
  const trainer = await makeTrainer(configuration, rows, parameters, { provider, threads: 1 });
  try {
    const x = start.float32('x');
    let loss = 0;
    for (let step = 0; step < SHIPPED_STEPS; step++) {
      const batch = x.subarray(step * rows * inputs, (step + 1) * rows * inputs);
      const [report] = await trainer.run(batch, [DEFAULTS.lr]);
      const expected = reference.step(batch, DEFAULTS.lr).total;
      loss = Math.max(loss, Math.abs((report?.total ?? Number.NaN) - expected) / Math.abs(expected));
    }
    return { loss, parameters: parameterDifference(await trainer.parameters(), reference.weights, threshold !== null) };
  } finally {
    await trainer.close();
  }
}

function readSettings(file: string): ReplaySettings {
  const given = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {};
  const settings = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS) as (keyof ReplaySettings)[]) {
    const value = given[key] ?? DEFAULTS[key];
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw new TypeError(`${file}: ${key} is not a number`);
    }
    settings[key] = value;
  }
  return settings;
}

async function replay(
  variant: SaeVariant,
  start: Safetensors,
  expected: Safetensors,
  { lr, l1, l0_coefficient, bandwidth, k }: ReplaySettings,
  device: Device,
): Promise<SaeComparison> {
  const [steps, rows] = start.shape('x') as [number, number, number];
  const parameters = parametersOf(start, VARIANTS[variant].learnsThreshold);
  const settings = saeConfiguration({
    variant,
    inputs: parameters.inputs,
    width: parameters.width,
    k: Math.min(k, parameters.width),
    sparsity: VARIANTS[variant].regulariser === 'l1' ? l1 : l0_coefficient,
    bandwidth,
    logThreshold: false,
    beta2: 0.99,
    clipNorm: null,
    auxiliaryWeight: 0,
  });
  const trainer = await DenseTrainer.create(settings, rows, parameters, { provider: device });
  try {
    const reports = await trainer.run(start.float32('x'), new Array<number>(steps).fill(lr));
    const losses = expected.float32('loss');
    const loss = Math.max(...reports.map(({ total }, i) => Math.abs(total - losses[i]!) / Math.abs(losses[i]!)));
    return {
      loss,
      parameters: parameterDifference(
        await trainer.parameters(),
        parametersOf(expected, VARIANTS[variant].learnsThreshold),
      ),
    };
  } finally {
    await trainer.close();
  }
}

/** The reference files hold `w_enc` as [inputs, latents]. */
function parametersOf(file: Safetensors, hasThreshold: boolean): SaeParameters {
  const [inputs, width] = file.shape('w_enc') as [number, number];
  const columns = file.float32('w_enc');
  return {
    inputs,
    width,
    encoder: Float32Array.from(
      { length: width * inputs },
      (_, i) => columns[(i % inputs) * width + Math.floor(i / inputs)]!,
    ),
    encoderBias: file.float32('b_enc'),
    decoder: file.float32('w_dec'),
    decoderBias: file.float32('b_dec'),
    threshold: hasThreshold ? file.float32('threshold') : null,
  };
}

const WEIGHTS = ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const;
type Expected = Record<(typeof WEIGHTS)[number], ArrayLike<number>> & { threshold: ArrayLike<number> | null };

function parameterDifference(actual: SaeParameters, expected: Expected, thresholds = true): number {
  let largest = 0;
  for (const name of thresholds ? ([...WEIGHTS, 'threshold'] as const) : WEIGHTS) {
    const [found, wanted] = [actual[name], expected[name] ?? []];
    for (let i = 0; i < wanted.length; i++) {
      const gap = Math.abs((wanted[i] ?? Number.NaN) - (found?.[i] ?? Number.NaN));
      largest = Number.isNaN(gap) ? Number.POSITIVE_INFINITY : Math.max(largest, gap);
    }
  }
  return largest;
}

export async function verifySae(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { device: { type: 'string', default: 'cpu' } },
  });
  const [folder] = positionals;
  if (!folder || (values.device !== 'cpu' && values.device !== 'webgpu')) {
    console.error('usage: verify -- sae DIR [--device cpu|webgpu]');
    process.exit(2);
  }
  console.log(JSON.stringify(await compareSaes(folder, values.device)));
}
