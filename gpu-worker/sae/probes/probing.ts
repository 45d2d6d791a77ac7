/**
 * Tasks on labelled texts by SAEBench's definitions (Karvonen et al. 2025): k-sparse probing, targeted probe perturbation
 * (TPP) and spurious correlation removal (SCR), each made safe for signed codes (AbsTopK, section 8). Codes and
 * activations are means over tokens, so removing latents from the activations while keeping what the autoencoder does not
 * explain is exact: x - sum_i z_i D_i over the removed latents.
 */

import { largest } from '../codes/variants.ts';
import { accuracyOf, columns, type Probe, trainProbe } from './linear-probe.ts';
import type { PooledTexts } from './pooled.ts';

export type Split = { train: readonly number[]; test: readonly number[] };

/** Mean of each latent on the rows with y = 1 minus the mean on the others. */
function meanDifferences({ z, width }: PooledTexts, y: readonly number[], rows: readonly number[]): Float64Array {
  const counts = [rows.filter((row) => y[row]! < 0.5).length, rows.filter((row) => y[row]! > 0.5).length];
  const out = new Float64Array(width);
  for (const row of rows) {
    const share = y[row]! > 0.5 ? 1 / counts[1]! : -1 / counts[0]!;
    for (let i = 0; i < width; i++) {
      out[i]! += share * z[row * width + i]!;
    }
  }
  return out;
}

/** Accuracy on the test rows of a probe on the k latents with the largest |mean difference|, for each k. */
export function sparseProbing(
  texts: PooledTexts,
  y: readonly number[],
  { train, test }: Split,
  ks: readonly number[],
): { k: number; latents: number[]; accuracy: number }[] {
  const differences = meanDifferences(texts, y, train).map(Math.abs);
  return ks.map((k) => {
    const latents = largest(differences, Math.min(k, texts.width));
    const z = columns(texts.z, texts.width, latents);
    return { k, latents, accuracy: accuracyOf(trainProbe(z, latents.length, y, train), y, test) };
  });
}

/** Accuracy on the test rows of a probe on the activations themselves: the ceiling of sparse probing. */
export const denseProbing = ({ x, inputs }: PooledTexts, y: readonly number[], { train, test }: Split): number =>
  accuracyOf(trainProbe(x, inputs, y, train), y, test);

/** Activations with latents removed and the error of the autoencoder kept. */
function without(texts: PooledTexts, decoder: Float32Array, latents: readonly number[]): Float64Array {
  const { inputs, width } = texts;
  const out = texts.x.slice();
  for (let row = 0; row * inputs < out.length; row++) {
    for (const latent of latents) {
      const code = texts.z[row * width + latent]!;
      if (code === 0) {
        continue;
      }
      for (let j = 0; j < inputs; j++) {
        out[row * inputs + j]! -= code * decoder[latent * inputs + j]!;
      }
    }
  }
  return out;
}

/** <probe weights, D_i> for every latent. */
const alignments = (probe: Probe, decoder: Float32Array, inputs: number): Float64Array =>
  Float64Array.from({ length: decoder.length / inputs }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < inputs; j++) {
      sum += probe.weights[j]! * decoder[i * inputs + j]!;
    }
    return sum;
  });

export type Perturbation = { removed: number; fixed: number; original: number };

/**
 * TPP: removing the latents that matter for one class should hurt the probe of that class and no other. Latents are
 * ranked by (mean difference) x <probe, D_i>, which no flip of signs changes; `original` clamps mean differences at 0
 * first, as SAEBench does, and so overlooks latents whose negative pole codes the class. Null for two classes: the probe
 * of one is that of the other turned round, so that both lose the same and the score is 0 whatever the autoencoder.
 */
export function targetedPerturbation(
  texts: PooledTexts,
  decoder: Float32Array,
  { train, test }: Split,
  counts: readonly number[],
): Perturbation[] | null {
  const classes = [...new Set(texts.labels)].sort();
  if (classes.length < 3) {
    return null;
  }
  const targets = classes.map((name) => texts.labels.map((label) => (label === name ? 1 : 0)));
  const probes = targets.map((y) => trainProbe(texts.x, texts.inputs, y, train));
  const base = probes.map((probe, c) => accuracyOf(probe, targets[c]!, test));
  const effects = targets.map((y, c) => {
    const aligned = alignments(probes[c]!, decoder, texts.inputs);
    const differences = meanDifferences(texts, y, train);
    return {
      fixed: differences.map((value, i) => value * aligned[i]!),
      original: differences.map((value, i) => Math.max(value, 0) * aligned[i]!),
    };
  });
  const score = (form: 'fixed' | 'original', removed: number): number => {
    let [own, others] = [0, 0];
    classes.forEach((_, c) => {
      const ranked = largest(effects[c]![form], removed).filter((i) => effects[c]![form][i]! > 0);
      const x = without(texts, decoder, ranked);
      probes.forEach((probe, other) => {
        const drop = base[other]! - accuracyOf(probe, targets[other]!, test, x);
        if (other === c) {
          own += drop / classes.length;
        } else {
          others += drop / (classes.length * (classes.length - 1));
        }
      });
    });
    return own - others;
  };
  return counts.map((removed) => ({ removed, fixed: score('fixed', removed), original: score('original', removed) }));
}

/** SAEBench leaves the score at 0 where there is less than this to repair. */
const LEAST_GAP = 0.001;

/**
 * SCR: a probe for the label is trained where a spurious attribute goes with it perfectly; removing the latents of the
 * spurious attribute should bring its accuracy on balanced rows up to that of a probe trained there. Sign-safe as it is:
 * latents are ranked by |mean difference x <probe, D_i>|.
 */
export function spuriousRemoval(
  texts: PooledTexts,
  decoder: Float32Array,
  { train, test }: Split,
  counts: readonly number[],
): Perturbation[] | null {
  const [labels, attributes] = [[...new Set(texts.labels)].sort(), [...new Set(texts.spurious)].sort()];
  if (labels.length !== 2 || attributes.length !== 2 || attributes.includes(null)) {
    return null;
  }
  const y = texts.labels.map((label) => (label === labels[1] ? 1 : 0));
  const spurious = texts.spurious.map((value) => (value === attributes[1] ? 1 : 0));
  const confounded = train.filter((row) => y[row] === spurious[row]);
  const both = (rows: readonly number[]) => rows.some((row) => y[row] === 1) && rows.some((row) => y[row] === 0);
  if (!both(confounded) || !both(train)) {
    return null;
  }
  const biased = trainProbe(texts.x, texts.inputs, y, confounded);
  const clean = accuracyOf(trainProbe(texts.x, texts.inputs, y, train), y, test);
  const attribute = trainProbe(texts.x, texts.inputs, spurious, train);
  const aligned = alignments(attribute, decoder, texts.inputs);
  const effects = meanDifferences(texts, spurious, train).map((value, i) => Math.abs(value * aligned[i]!));
  const start = accuracyOf(biased, y, test);
  return counts.map((removed) => {
    const accuracy = accuracyOf(biased, y, test, without(texts, decoder, largest(effects, removed)));
    const score = clean - start < LEAST_GAP ? 0 : (accuracy - start) / (clean - start);
    return { removed, fixed: score, original: score };
  });
}
