import { describe, expect, it } from 'vitest';
import { equalRows } from '../../../../gpu-worker/sae/codes/sparse-codes.ts';
import { densitySvg } from '../../../../gpu-worker/sae/measures/density-plot.ts';
import { metricIntervals } from '../../../../gpu-worker/sae/measures/intervals.ts';
import type { PooledTexts } from '../../../../gpu-worker/sae/probes/pooled.ts';
import {
  denseProbing,
  sparseProbing,
  spuriousRemoval,
  targetedPerturbation,
} from '../../../../gpu-worker/sae/probes/probing.ts';
import { stream } from '../../../../shared/math/random.ts';

const [inputs, texts] = [6, 240];
const split = {
  train: Array.from({ length: texts }, (_, i) => i).filter((i) => i % 5 !== 0),
  test: Array.from({ length: texts }, (_, i) => i).filter((i) => i % 5 === 0),
};
/** The identity as dictionary: latent i is coordinate i. */
const decoder = Float32Array.from({ length: inputs * inputs }, (_, i) => (i % (inputs + 1) === 0 ? 1 : 0));

/** Class c shows in coordinate c, with the given sign. */
function example(signs: readonly number[], noise: number): PooledTexts {
  const random = stream(5, 'probing').normal(texts * inputs, { deviation: noise });
  const labels = Array.from({ length: texts }, (_, i) => String(i % signs.length));
  const x = random.map((value, at) => {
    const [i, j] = [Math.floor(at / inputs), at % inputs];
    return value + (j === i % signs.length ? 3 * signs[j]! : 0);
  });
  return { inputs, width: inputs, x, z: x.slice(), labels, spurious: labels.map(() => null) };
}

/** The same texts when the signs of some latents are flipped. */
function flipped(pooled: PooledTexts, latents: readonly number[]) {
  const sign = (j: number) => (latents.includes(j) ? -1 : 1);
  return {
    pooled: { ...pooled, z: pooled.z.map((value, i) => sign(i % inputs) * value) },
    decoder: decoder.map((value, i) => sign(Math.floor(i / inputs)) * value),
  };
}

describe('k-sparse probing', () => {
  it('finds the latent of a class with one latent, whatever its sign', () => {
    const pooled = example([1, -1, 1], 0.3);
    for (const label of ['0', '1', '2']) {
      const y = pooled.labels.map((own) => (own === label ? 1 : 0));
      const [one] = sparseProbing(pooled, y, split, [1, 2]);
      expect(one!.latents).toEqual([Number(label)]);
      expect(one!.accuracy).toBeGreaterThan(0.98);
      expect(denseProbing(pooled, y, split)).toBeGreaterThan(0.98);
    }
  });
});

describe('targeted probe perturbation', () => {
  it('scores latents that serve one class each, and does not depend on their signs', () => {
    const pooled = example([1, 1, 1], 0.5);
    const plain = targetedPerturbation(pooled, decoder, split, [1])!;
    const other = flipped(pooled, [0, 1, 2]);
    const turned = targetedPerturbation(other.pooled, other.decoder, split, [1])!;
    expect(plain[0]!.fixed).toBeGreaterThan(0.15);
    expect(turned[0]!.fixed).toBeCloseTo(plain[0]!.fixed, 12);
    // The form with the clamp sees nothing once the codes are negative.
    expect(plain[0]!.original).toBeCloseTo(plain[0]!.fixed, 12);
    expect(turned[0]!.original).toBeLessThan(0.05);
    expect(targetedPerturbation(example([1, -1], 0.5), decoder, split, [1])).toBeNull();
  });
});

describe('spurious correlation removal', () => {
  it('repairs a probe that learned the attribute, and needs both', () => {
    const random = stream(6, 'scr');
    const noise = random.normal(texts * inputs, { deviation: 0.4 });
    const [a, b] = [random.derive('a').uniform(texts), random.derive('b').uniform(texts)];
    const labels = Array.from(a, (value) => (value < 0.5 ? 'one' : 'two'));
    const spurious = Array.from(b, (value) => (value < 0.5 ? 'x' : 'y'));
    const x = noise.map((value, at) => {
      const [i, j] = [Math.floor(at / inputs), at % inputs];
      const shown = j === 0 ? 0.8 * (labels[i] === 'two' ? 1 : -1) : j === 1 ? 3 * (spurious[i] === 'y' ? 1 : -1) : 0;
      return value + shown;
    });
    const pooled: PooledTexts = { inputs, width: inputs, x, z: x.slice(), labels, spurious };
    const [one] = spuriousRemoval(pooled, decoder, split, [1])!;
    expect(one!.fixed).toBeGreaterThan(0.6);
    const other = flipped(pooled, [1]);
    expect(spuriousRemoval(other.pooled, other.decoder, split, [1])![0]!.fixed).toBeCloseTo(one!.fixed, 12);
    expect(spuriousRemoval({ ...pooled, spurious: labels.map(() => null) }, decoder, split, [1])).toBeNull();
  });
});

describe('reports', () => {
  it('give intervals that hold the estimate and shrink with more text', () => {
    const interval = (rows: number) => {
      const random = stream(9, 'intervals');
      const x = random.derive('x').normal32(rows * 4);
      const hat = x.map((value, i) => value * (0.5 + 0.3 * Math.sin(i)));
      const codes = equalRows(rows, 2, new Int32Array(2 * rows), new Float32Array(2 * rows).fill(1));
      const sequences = Int32Array.from({ length: rows }, (_, i) => Math.floor(i / 10));
      return metricIntervals({ x, sequences }, hat, codes, 4, 0);
    };
    const [few, many] = [interval(200)!, interval(3200)!] as const;
    for (const { fvu, l0 } of [few, many]) {
      expect(fvu!.low).toBeLessThan(fvu!.estimate);
      expect(fvu!.high).toBeGreaterThan(fvu!.estimate);
      expect([l0.low, l0.estimate, l0.high]).toEqual([2, 2, 2]);
    }
    expect(many.fvu!.high - many.fvu!.low).toBeLessThan(0.5 * (few.fvu!.high - few.fvu!.low));
    // One sequence says nothing of how others would differ.
    expect(interval(10)).toBeNull();
  });

  it('draw densities without letting a title speak SVG', () => {
    const svg = densitySvg('<script>"&', { edges: [-6, -3, 0], counts: [3, 1], dead: 2 });
    expect(svg).toMatch(/^<svg [^>]*>/);
    expect(svg).not.toContain('<script>');
    expect(svg.match(/<rect/g)).toHaveLength(2);
    expect(svg).toContain('2 never');
  });
});
