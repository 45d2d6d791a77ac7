import { describe, expect, it } from 'vitest';
import { effectiveSamples, splitRHat } from '../../../../gpu-worker/fairness/lookahead/convergence.ts';
import { gammaDraw } from '../../../../gpu-worker/fairness/lookahead/draws.ts';
import { fitLatentKnowledge } from '../../../../gpu-worker/fairness/lookahead/latent-knowledge.ts';
import { gaussianPosterior } from '../../../../shared/fairness/lookahead/posterior.ts';
import { stream } from '../../../../shared/math/random.ts';

/** Counts by inversion. */
const poisson = (rate: number, u: number): number => {
  let [k, p] = [0, Math.exp(-rate)];
  for (let total = p; total < u && k < 1000; total += p) {
    k += 1;
    p *= rate / k;
  }
  return k;
};

describe('the latent-knowledge sampler', () => {
  const n = 1500;
  const z = stream(1, 'z').normal(4 * n);
  const u = stream(1, 'u').uniform(n);
  const attributes = Float64Array.from({ length: n }, (_, i) => i % 2);
  const k = Float64Array.from({ length: n }, (_, i) => z[4 * i]!);
  const column = (f: (i: number) => number) => Float64Array.from({ length: n }, (_, i) => f(i));
  const gpa = column((i) => 3 + 0.4 * attributes[i]! + 0.8 * k[i]! + 0.5 * z[4 * i + 1]!);
  const lsat = column((i) => poisson(Math.exp(3 - 0.2 * attributes[i]! + 0.25 * k[i]!), u[i]!));
  const fya = column((i) => 0.3 * attributes[i]! + 0.6 * k[i]! + z[4 * i + 2]!);
  const fit = fitLatentKnowledge(
    {
      n,
      p: 1,
      attributes,
      children: [
        { name: 'gpa', family: 'gaussian', values: gpa },
        { name: 'lsat', family: 'poisson', values: lsat },
        { name: 'fya', family: 'gaussian', values: fya },
      ],
    },
    { burnIn: 150, samples: 250, seed: 3, fixedVariance: { fya: 1 }, keepLatent: true },
  );

  it('recovers planted coefficients within their posterior spread', () => {
    const [g, l, f] = fit.children as [(typeof fit.children)[0], (typeof fit.children)[0], (typeof fit.children)[0]];
    const close = (value: number, planted: number, deviation: number) =>
      expect(Math.abs(value - planted)).toBeLessThan(5 * deviation + 0.01);
    close(g.weight, 0.8, g.deviation[2]!);
    close(g.attributes[0]!, 0.4, g.deviation[1]!);
    close(g.intercept, 3, g.deviation[0]!);
    expect(Math.abs(g.variance! - 0.25)).toBeLessThan(0.1);
    close(l.weight, 0.25, l.deviation[2]!);
    close(l.attributes[0]!, -0.2, l.deviation[1]!);
    close(f.weight, 0.6, f.deviation[2]!);
    expect(f.variance).toBe(1);
    expect(fit.acceptance.latent).toBeGreaterThan(0.9);
    expect(fit.acceptance.poisson).toBeGreaterThan(0.6);
  });

  it('has calibrated posteriors of K: standardised errors of unit size', () => {
    let [square, along] = [0, 0];
    for (let i = 0; i < n; i++) {
      const error = k[i]! - fit.latentMean[i]!;
      square += error ** 2 / fit.latentVariance[i]! / n;
      along += (error * fit.latentMean[i]!) / n;
    }
    expect(Math.abs(square - 1)).toBeLessThan(0.15);
    expect(Math.abs(along)).toBeLessThan(0.08);
    const first = fit.draws!.subarray(0, fit.samples);
    expect(first.reduce((s, v) => s + v, 0) / fit.samples).toBeCloseTo(fit.latentMean[0]!, 5);
  });

  it('agrees with the closed form where every child is Gaussian and known', () => {
    const values = Float64Array.from({ length: 300 }, (_, i) => k[i]! + 0.5 * z[4 * i + 1]!);
    const small = fitLatentKnowledge(
      { n: 300, p: 0, attributes: new Float64Array(0), children: [{ name: 'x', family: 'gaussian', values }] },
      { burnIn: 200, samples: 1500, seed: 5, fixedVariance: { x: 0.25 } },
    );
    const { intercept, weight } = small.children[0]!;
    for (const i of [0, 50, 120]) {
      const exact = gaussianPosterior([{ value: values[i]!, offset: intercept, weight, deviation: 0.5 }]);
      expect(Math.abs(small.latentMean[i]! - exact.mean)).toBeLessThan(0.12);
      expect(Math.abs(small.latentVariance[i]! - exact.variance)).toBeLessThan(0.08);
    }
  });

  it('refuses counts that are none', () => {
    const children = [{ name: 'c', family: 'poisson' as const, values: Float64Array.of(0.5) }];
    expect(() => fitLatentKnowledge({ n: 1, p: 0, attributes: new Float64Array(0), children })).toThrow(
      /whole numbers/,
    );
  });
});

describe('a Poisson child of any weight', () => {
  const n = 300;
  const z = stream(4, 'z').normal(3 * n);
  const u = stream(4, 'u').uniform(n);
  const attributes = Float64Array.from({ length: n }, (_, i) => i % 2);
  const k = Float64Array.from({ length: n }, (_, i) => z[3 * i]!);

  it.each([0.5, 1, 1.5])('recovers the weight %f, with chains that agree', (weight) => {
    const count = k.map((v, i) => poisson(Math.exp(1 - 0.2 * attributes[i]! + weight * v), u[i]!));
    const status = k.map((v, i) => 0.3 * attributes[i]! + 0.6 * v + z[3 * i + 2]!);
    const found = fitLatentKnowledge(
      {
        n,
        p: 1,
        attributes,
        children: [
          { name: 'count', family: 'poisson', values: count },
          { name: 'status', family: 'gaussian', values: status },
        ],
      },
      { burnIn: 150, samples: 300, seed: 1, fixedVariance: { status: 1 } },
    );
    const [child] = found.children;
    expect(Math.abs(child!.weight - weight)).toBeLessThan(4 * child!.deviation[2]! + 0.05);
    expect(child!.deviation[2]).toBeGreaterThan(0.01);
    expect(found.acceptance.poisson).toBeGreaterThan(0.4);
    expect(found.convergence.rHat).toBeLessThan(1.3);
  });

  it('fails the fit of chains that stopped before they agreed, saying what to change', () => {
    // Two children that leave nothing open hold K and their weights in place.
    const children = [k.map((v) => 5 * v), k.map((v, i) => 4 * v + 0.01 * z[3 * i + 1]!)].map((values, c) => ({
      name: `child ${c}`,
      family: 'gaussian' as const,
      values,
    }));
    expect(() => fitLatentKnowledge({ n, p: 1, attributes, children }, { burnIn: 0, samples: 10, seed: 1 })).toThrow(
      expect.objectContaining({ code: 'not_converged', message: expect.stringMatching(/raise burn_in/) }),
    );
  });
});

describe('a latent variable that the data leave open', () => {
  const n = 600;
  const z = stream(6, 'z').normal(4 * n);
  const k = Float64Array.from({ length: n }, (_, i) => z[4 * i]!);
  const attributes = Float64Array.from({ length: n }, (_, i) => i % 2);
  const child = (name: string, weight: number, noise: number) => ({
    name,
    family: 'gaussian' as const,
    values: k.map((v, i) => weight * v + Math.sqrt(1 - weight ** 2) * z[4 * i + noise]!),
  });
  const fitted = (children: ReturnType<typeof child>[]) =>
    fitLatentKnowledge({ n, p: 1, attributes, children }, { burnIn: 200, samples: 500, seed: 2 });

  it('in its sign has one all the same where the first child says nothing of it', () => {
    // K and all weights can change sign together: a child of weight 0 cannot tell which sign they have
    const { children, latentMean, convergence } = fitted([child('idle', 0, 1), child('a', 0.8, 2), child('b', 0.7, 3)]);
    const [idle, a, b] = children.map(({ weight }) => weight) as [number, number, number];
    expect(Math.abs(idle)).toBeLessThan(0.15);
    expect(Math.abs(a * b - 0.56)).toBeLessThan(0.1);
    expect(Math.min(a, b)).toBeGreaterThan(0.4);
    const along = latentMean.reduce((sum, mean, i) => sum + mean * k[i]!, 0) / n;
    expect(along).toBeGreaterThan(0.4);
    expect(convergence.rHat).toBeLessThan(1.2);
  });

  it('between two children that share a little, and a status that shares nothing, is explored along the whole ridge', () => {
    const { children, convergence } = fitted([child('a', 0.6, 1), child('b', 0.6, 2), child('status', 0, 3)]);
    const [a, b] = children as [(typeof children)[0], (typeof children)[0]];
    // only the product of the two weights is known
    expect(Math.abs(a.weight * b.weight - 0.36)).toBeLessThan(0.12);
    expect(a.deviation[2]).toBeGreaterThan(0.05);
    expect(convergence.rHat).toBeLessThan(1.2);
    expect(convergence.effectiveSamples).toBeGreaterThan(25);
  });
});

describe('convergence', () => {
  it('has R-hat near 1 and as many effective samples as draws for independent ones', () => {
    const chains = [0, 1].map((c) => stream(c, 'chain').normal(2000));
    expect(Math.abs(splitRHat(chains) - 1)).toBeLessThan(0.01);
    expect(effectiveSamples(chains)).toBeGreaterThan(3000);
  });

  it('sees chains apart, chains that drift, and autocorrelation as an AR(1) has it', () => {
    const chains = [0, 1].map((c) => stream(c, 'apart').normal(500, { mean: 3 * c }));
    expect(splitRHat(chains)).toBeGreaterThan(1.5);
    const drift = [0, 1].map((c) =>
      stream(c, 'drift')
        .normal(500)
        .map((x, i) => x + i / 100),
    );
    expect(splitRHat(drift)).toBeGreaterThan(1.3);
    const rho = 0.8;
    const series = [0, 1].map((c) => {
      const noise = stream(c, 'ar').normal(20_000);
      for (let i = 1; i < noise.length; i++) {
        noise[i] = rho * noise[i - 1]! + Math.sqrt(1 - rho ** 2) * noise[i]!;
      }
      return noise;
    });
    expect(effectiveSamples(series) / 40_000 / ((1 - rho) / (1 + rho))).toBeCloseTo(1, 0);
    expect(splitRHat([new Float64Array(10).fill(2), new Float64Array(10).fill(2)])).toBe(1);
    expect(splitRHat([new Float64Array(10).fill(1), new Float64Array(10).fill(2)])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('gamma draws', () => {
  it('have the mean and variance of their shape', () => {
    for (const shape of [1, 4.5, 700]) {
      const x = Float64Array.from({ length: 4000 }, (_, i) => gammaDraw(shape, stream(i, 'gamma')));
      const mean = x.reduce((s, v) => s + v, 0) / x.length;
      const variance = x.reduce((s, v) => s + (v - mean) ** 2, 0) / x.length;
      expect(Math.abs(mean / shape - 1)).toBeLessThan(5 / Math.sqrt(shape * x.length));
      expect(Math.abs(variance / shape - 1)).toBeLessThan(0.15);
    }
  });
});
