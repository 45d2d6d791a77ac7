/**
 * Checks 8 and 9 of the spec of arXiv:2507.15977 on planted data, beside the figures found there. The data are drawn anew, so
 * figures agree in kind and, where the note says so, within 25 %.
 */

import { latentDrift } from '../../../gpu-worker/compression/autoencoders/latent-drift.ts';
import {
  Gram,
  lowest,
  masked,
  outputEnergy,
  Products,
  prunedSae,
  roundToNearest,
  SaeNormSums,
  type SaeRule,
  scores,
} from '../../../gpu-worker/compression/index.ts';
import { Encoder, encodeActivations, measure, type TrainedSae } from '../../../gpu-worker/sae/index.ts';
import { saeConfiguration } from '../../../gpu-worker/sae/training/configuration.ts';
import { stream } from '../../../shared/math/random.ts';
import { fit as train } from '../../support/fit-sae.ts';

export type Figure = { check: string; what: string; expected: number[]; found: number[] };
export type PlantedResult = { figures: Figure[]; seconds: number };

const SEEDS = [0, 1, 2];
/**
 * Spread (sigma of the logarithm) of the scales of the layer's inputs in check 9, which the spec leaves open. The errors that it
 * gives settle it: magnitude's is 0.07 whatever the spread, Wanda's falls from 0.035 at 0.5 to 0.017, as given, at three quarters.
 */
const LAYER_SCALE = 0.75;
/**
 * The longer the autoencoders are trained, the less they lose on the dense layer and the more on a changed one: in check 9, 8,000
 * steps at 1e-2 bring the dense error from 0.114 to 0.076, but magnitude's transfer from 0.24 to 0.55 and its survival from 0.65
 * to 0.15. No length tried comes within a quarter of all of the spec's figures at once; this one is nearest on survival.
 */
const RECIPE = { rate: 3e-3, steps: 3000 };
type Variant = 'topk' | 'abstopk';

/** Sparse mixtures of unit directions; `signed` features take both signs; coordinates have scales of their own. */
function sparseData(
  seed: number,
  dims: number,
  features: number,
  k: number,
  rows: number,
  signed: boolean,
  scale: number,
) {
  const random = stream(seed, 'planted');
  const directions = random.derive('directions').normal(features * dims);
  for (let f = 0; f < features; f++) {
    const row = directions.subarray(f * dims, (f + 1) * dims);
    const norm = Math.hypot(...row);
    for (let i = 0; i < dims; i++) {
      row[i]! /= norm;
    }
  }
  const scales = random.derive('scales').normal(dims, { deviation: scale }).map(Math.exp);
  const chosen = random.derive('features').integers(rows * k, features);
  const sizes = random.derive('sizes').uniform(rows * k);
  const signs = random.derive('signs').uniform(rows * k);
  const x = new Float32Array(rows * dims);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < k; j++) {
      const at = row * k + j;
      const value = (0.5 + sizes[at]!) * (signed && signs[at]! < 0.5 ? -1 : 1);
      for (let i = 0; i < dims; i++) {
        x[row * dims + i]! += value * directions[chosen[at]! * dims + i]! * scales[i]!;
      }
    }
  }
  return x;
}

async function trainedSae(
  variant: Variant,
  x: Float32Array,
  inputs: number,
  width: number,
  k: number,
  seed: number,
): Promise<TrainedSae> {
  const settings = saeConfiguration({ variant, inputs, width, k, subtractBias: true });
  const schedule = { ...RECIPE, warmupSteps: 100, decayFraction: 0.2 };
  const parameters = await train(settings, x, { schedule, batch: 256, seed, threads: 1 });
  return { variant, k, subtractBias: true, parameters };
}

export async function plantedStudy(note: (text: string) => void): Promise<PlantedResult> {
  const started = performance.now();
  const encoder = new Encoder({ threads: 1 });
  const products = new Products({ threads: 1 });
  const figures = new Map<string, Figure>();
  const add = (check: string, what: string, expected: number[], value: number) => {
    const key = `${check} ${what}`;
    if (!figures.has(key)) {
      figures.set(key, { check, what, expected, found: [] });
    }
    figures.get(key)!.found.push(value);
  };
  try {
    for (const seed of SEEDS) {
      for (const variant of ['topk', 'abstopk'] as const) {
        await pruningCheck(variant, seed);
      }
      await transferCheck(seed);
      note(`planted: seed ${seed} done`);
    }
  } finally {
    await encoder.release();
    await products.release();
  }
  return { figures: [...figures.values()], seconds: Math.round((performance.now() - started) / 1000) };

  /** Check 8: d = 32, 64 features and latents, k = 3, anisotropic coordinates. */
  async function pruningCheck(variant: Variant, seed: number): Promise<void> {
    const [inputs, width, k] = [32, 64, 3];
    const x = sparseData(seed, inputs, width, k, 8192, variant === 'abstopk', 0.5);
    const sae = await trainedSae(variant, x, inputs, width, k, seed);
    const fvu = async (own: TrainedSae) => (await measure(own, x, encoder)).measures.fvu!;
    const sums = new SaeNormSums(sae);
    await sums.add(x, encoder, products);
    const of = (topk: number, abstopk: number) => [variant === 'topk' ? topk : abstopk];
    add('8', `${variant}, unpruned`, of(0.085, 0.105), await fvu(sae));
    const expected: [SaeRule, Record<number, number[]>][] = [
      ['canonical', { 0.25: of(0.09, 0.11), 0.5: of(0.159, 0.18), 0.75: of(0.41, 0.41) }],
      ['output_norms', { 0.25: of(0.09, 0.11), 0.5: of(0.138, 0.157), 0.75: of(0.39, 0.36) }],
      ['magnitude_matrix', { 0.25: of(0.09, 0.11), 0.5: of(0.185, 0.19), 0.75: of(0.62, 0.56) }],
    ];
    for (const [rule, shares] of expected) {
      for (const [share, figure] of Object.entries(shares)) {
        add(
          '8',
          `${variant}, ${rule}, ${100 * Number(share)} %`,
          figure,
          await fvu(prunedSae(sae, Number(share), rule, sums.norms())),
        );
      }
    }
    const single: [SaeRule, 'encoder' | 'decoder', number[]][] = [
      ['magnitude_matrix', 'decoder', of(0.104, 0.122)],
      ['canonical', 'decoder', of(0.13, 0.146)],
      ['magnitude_matrix', 'encoder', of(0.168, 0.175)],
      ['output_norms', 'encoder', of(0.111, 0.131)],
      ['canonical', 'encoder', of(0.117, 0.142)],
    ];
    for (const [rule, matrix, figure] of single) {
      add(
        '8',
        `${variant}, ${matrix} alone, ${rule}, 50 %`,
        figure,
        await fvu(prunedSae(sae, 0.5, rule, sums.norms(), matrix)),
      );
    }
  }

  /** Check 9 and 10: a layer 64 -> 32 fed by signed features, AbsTopK k = 2 on its outputs. */
  async function transferCheck(seed: number): Promise<void> {
    const [from, inputs, width, k] = [64, 32, 48, 2];
    const z = sparseData(seed, from, width, k, 8192, true, LAYER_SCALE);
    const w = Float32Array.from(stream(seed, 'layer').normal(inputs * from, { deviation: 1 / Math.sqrt(from) }));
    const gram = new Gram(from);
    await gram.add(products, z);
    gram.finish();
    const through = (weights: Float32Array) =>
      products.multiply(
        'float32',
        { rows: z.length / from, cols: from, data: z },
        { rows: inputs, cols: from, data: weights },
        { transB: true },
      );
    const dense = await through(w);
    const sae = await trainedSae('abstopk', dense, inputs, width, k, seed);
    const fvu = async (own: TrainedSae, x: Float32Array) => (await measure(own, x, encoder)).measures.fvu!;
    add('9', 'dense SAE on dense', [0.065, 0.07, 0.036], await fvu(sae, dense));
    const energy = await outputEnergy(products, gram, w);
    const rounded = (bits: number) => roundToNearest(w, from, { kind: 'symmetric', bits, group: null }).values;
    const pruned = (norms: Float64Array | null) => masked(w, lowest(scores(w, from, norms), from, 0.5, 'row'));
    const copies: [string, Float32Array, number[], number[]][] = [
      ['Wanda 50 %', pruned(gram.norms()), [0.015, 0.019], [0.092, 0.098, 0.063]],
      ['magnitude 50 %', pruned(null), [0.063, 0.075], [0.193, 0.188, 0.154]],
      ['RTN8', rounded(8), [], [0.065, 0.07, 0.036]],
      ['RTN4', rounded(4), [0.011, 0.014], [0.083, 0.089, 0.05]],
      ['RTN3', rounded(3), [], [0.156, 0.165, 0.113]],
    ];
    const codes = await encodeActivations(sae, dense, encoder);
    for (const [label, weights, error, transfer] of copies) {
      const x = await through(weights);
      const difference = weights.map((value, i) => value - w[i]!);
      add('9', `${label}: e2`, error, (await outputEnergy(products, gram, difference)) / energy);
      add('9', `${label}: transfer`, transfer, await fvu(sae, x));
      if (!label.endsWith('%')) {
        continue;
      }
      const wanda = label.startsWith('Wanda');
      add(
        '9',
        `${label}: retrained`,
        wanda ? [0.067, 0.058, 0.061] : [0.063, 0.053, 0.059],
        await fvu(await trainedSae('abstopk', x, inputs, width, k, seed), x),
      );
      const drift = latentDrift(codes, await encodeActivations(sae, x, encoder), width, String);
      add('10', `${label}: survival`, wanda ? [0.93, 1] : [0.62, 0.89], drift.survival);
      if (!wanda) {
        continue;
      }
      const sums = new SaeNormSums(sae);
      await sums.add(x, encoder, products);
      add(
        '9',
        'Wanda 50 %: pruned SAE 25 %',
        [0.109, 0.116, 0.081],
        await fvu(prunedSae(sae, 0.25, 'canonical', sums.norms()), x),
      );
      add(
        '9',
        'Wanda 50 %: pruned SAE 50 %',
        [0.233, 0.266, 0.215],
        await fvu(prunedSae(sae, 0.5, 'canonical', sums.norms()), x),
      );
    }
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

export function plantedMarkdown({ figures, seconds }: PlantedResult): string {
  const rows = figures.map(({ check, what, expected, found }) => {
    const off = expected.length > 0 ? mean(found) / mean(expected) - 1 : null;
    return [
      check,
      what,
      expected.length > 0 ? expected.join(' / ') : '',
      found.map((value) => value.toFixed(3)).join(' / '),
      off === null ? '' : `${off >= 0 ? '+' : ''}${(100 * off).toFixed(0)} %`,
    ];
  });
  const head = ['check', 'what', 'spec', 'found, by seed', 'mean off by'];
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return `## Planted checks (8, 9 and 10 of the spec)\n\nFVU unless said otherwise; seeds ${SEEDS.join(', ')}; ${seconds} s. The spec does not say how its data were drawn: coordinates here have log-normal scales (sigma 0.5; ${LAYER_SCALE} for the inputs of check 9, by the errors that the spec gives), features sizes of 0.5 to 1.5.\n\n${table}\n`;
}
