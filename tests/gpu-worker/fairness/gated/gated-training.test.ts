import { describe, expect, it } from 'vitest';
import {
  chooseGroups,
  mixtureGradient,
  route,
  trainGated,
} from '../../../../gpu-worker/fairness/gated/gated-training.ts';
import * as baselines from '../../../../gpu-worker/fairness/gated/linear-baselines.ts';
import { pickRows, type Rows, splitRows, strataOf } from '../../../../gpu-worker/fairness/rows.ts';
import { softGate } from '../../../../shared/fairness/gated/objective.ts';
import { type GatedPredictor, predictGated } from '../../../../shared/fairness/gated/predictor.ts';
import { logisticRegression } from '../../../../shared/math/logistic.ts';
import { stream } from '../../../../shared/math/random.ts';
import { sigmoid } from '../../../../shared/math/special.ts';

/** Uniform on the square, y = [x1 x2 > 0]. */
function xor(n: number, seed: number): Rows {
  const x = stream(seed, 'xor').uniform(2 * n, { low: -1 });
  return { x, y: Float64Array.from({ length: n }, (_, i) => Number(x[2 * i]! * x[2 * i + 1]! > 0)), d: 2 };
}
const accuracy = (scores: Float64Array, y: Float64Array): number =>
  scores.reduce((sum, s, i) => sum + Number(s > 0.5 === (y[i] === 1)), 0) / y.length;
const scoresOf = (p: GatedPredictor, rows: Rows): Float64Array => {
  const [scores, routed] = [new Float64Array(rows.y.length), new Uint8Array(rows.y.length)];
  predictGated(p, rows.x, scores, routed);
  return scores;
};

describe('gated training', () => {
  it.each([1, 2, 3])('solves XOR from seed %i, where decoupling by noisy demographics reaches 1 - rho', (seed) => {
    const [train, validation, test] = [xor(3000, seed), xor(600, seed + 100), xor(3000, seed + 200)];
    const fit = trainGated(train, validation, { groups: 2, seed, steps: 300, restarts: 4 });
    expect(accuracy(scoresOf(fit.predictor, test), test.y)).toBeGreaterThan(0.98);
    const rho = 0.1;
    const noisy = (rows: Rows, name: string) => {
      const u = stream(seed, name).uniform(rows.y.length);
      return Uint8Array.from(u, (v, i) => Number(rows.x[2 * i]! > 0) ^ Number(v < rho));
    };
    const models = baselines.decoupled(train, noisy(train, 'train'), 2);
    const decoupled = accuracy(baselines.decoupledScores(models, test, noisy(test, 'test')), test.y);
    expect(Math.abs(decoupled - (1 - rho))).toBeLessThan(0.03);
    const pooled = accuracy(baselines.linearScores(logisticRegression(train.x, train.y, 2), test), test.y);
    expect(pooled).toBeLessThan(0.6);
  });

  it('serves every demographic better where demographics say nothing about the structure', () => {
    const [train, validation, test] = [xor(3000, 11), xor(600, 12), xor(3000, 13)];
    const coin = (rows: Rows, name: string) =>
      Uint8Array.from(stream(11, name).uniform(rows.y.length), (u) => Number(u < 0.5));
    const { predictor } = trainGated(train, validation, { groups: 2, seed: 4, steps: 300, restarts: 4 });
    const models = baselines.decoupled(train, coin(train, 'train'), 2);
    const groupIds = coin(test, 'test');
    const pooled = baselines.linearScores(logisticRegression(train.x, train.y, 2), test);
    const decoupled = baselines.decoupledScores(models, test, groupIds);
    expect(Math.abs(accuracy(decoupled, test.y) - accuracy(pooled, test.y))).toBeLessThan(0.1);
    const served = scoresOf(predictor, test);
    for (const z of [0, 1]) {
      const own = (scores: Float64Array): Float64Array => scores.filter((_, i) => groupIds[i] === z);
      expect(accuracy(own(served), own(test.y))).toBeGreaterThan(0.98);
      expect(accuracy(own(pooled), own(test.y))).toBeLessThan(0.7);
    }
  });

  it('routes by x alone: the routing of training rows is that of prediction', () => {
    const train = xor(800, 5);
    const { predictor } = trainGated(train, xor(300, 6), { groups: 3, steps: 80, restarts: 2 });
    const routed = new Uint8Array(800);
    predictGated(predictor, train.x, new Float64Array(800), routed);
    expect(route(predictor.gate, 3, train)).toEqual(routed);
  });

  it('chooses the pooled predictor, or nothing worse, where there is no structure', () => {
    const n = 3000;
    const x = stream(9, 'x').normal(2 * n);
    const u = stream(9, 'u').uniform(n);
    const rows = {
      x,
      d: 2,
      y: Float64Array.from({ length: n }, (_, i) => Number(u[i]! < sigmoid(2 * x[2 * i]! - x[2 * i + 1]!))),
    };
    const [a, b, c] = splitRows(rows.y, [0.5, 0.2, 0.3], 1).map((part) => pickRows(rows, part)) as [Rows, Rows, Rows];
    const { groups, fit } = chooseGroups(a, b, [2, 3], { steps: 150, restarts: 2 });
    const pooled = accuracy(baselines.linearScores(fit.predictor.pooled, c), c.y);
    expect(groups === 1 || accuracy(scoresOf(fit.predictor, c), c.y) > pooled - 0.01).toBe(true);
  });

  it('trains a mixture of experts that separates XOR too, and repeats by seed', () => {
    const [train, validation] = [xor(2000, 1), xor(500, 2)];
    const options = { groups: 2, objective: 'mixture', steps: 300, restarts: 3 } as const;
    const mixture = trainGated(train, validation, options);
    expect(accuracy(scoresOf(mixture.predictor, validation), validation.y)).toBeGreaterThan(0.95);
    expect(trainGated(train, validation, options).predictor.gate).toEqual(mixture.predictor.gate);
  });

  it('follows the mixture likelihood: its gradient is that of central differences', () => {
    const random = stream(17, 'mixture');
    for (const temperature of [1, 0.3]) {
      const logits = random.derive(`logits/${temperature}`).normal(3);
      const losses = random.derive(`losses/${temperature}`).uniform(3, { high: 4 });
      const value = (at: Float64Array): number => {
        const gate = new Float64Array(3);
        softGate(at, temperature, gate);
        return -Math.log(gate.reduce((sum, g, k) => sum + g * Math.exp(-losses[k]!), 0));
      };
      const [gate, gradient] = [new Float64Array(3), new Float64Array(3)];
      softGate(logits, temperature, gate);
      mixtureGradient(gate, losses, temperature, gradient);
      for (let k = 0; k < 3; k++) {
        const moved = (by: number) => value(logits.map((v, j) => (j === k ? v + by : v)));
        expect(gradient[k], `seed 17, logit ${k}`).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 8);
      }
    }
  });

  it('refuses rows with one label', () => {
    const rows = { x: new Float64Array(20), y: new Float64Array(10), d: 2 };
    expect(() => trainGated(rows, rows, { groups: 2 })).toThrow(/both labels/);
  });
});

describe('splits', () => {
  it('are disjoint, cover all rows and repeat by seed', () => {
    const parts = splitRows(new Uint8Array(101), [0.7, 0.15, 0.15], 3);
    expect(parts.map((p) => p.length)).toEqual([71, 15, 15]);
    expect(new Set(parts.flatMap((p) => [...p])).size).toBe(101);
    expect(splitRows(new Uint8Array(101), [0.7, 0.15, 0.15], 3)).toEqual(parts);
  });

  it('give every part its share of each group and outcome, however small the group', () => {
    const groupIds = Int32Array.from({ length: 1000 }, (_, i) => Number(i % 50 === 0));
    const y = Float64Array.from({ length: 1000 }, (_, i) => Number(i % 10 === 0));
    for (let seed = 0; seed < 20; seed++) {
      for (const part of splitRows(strataOf(groupIds, y), [0.7, 0.15, 0.15], seed)) {
        const share = part.length / 1000;
        for (const [of, count] of [
          [groupIds, 20],
          [y, 100],
        ] as const) {
          const own = part.reduce((sum, i) => sum + of[i]!, 0);
          expect(Math.abs(own - share * count), `seed ${seed}`).toBeLessThanOrEqual(2);
        }
      }
    }
  });

  it('take quarters of a continuous outcome within each group', () => {
    const y = Float64Array.from({ length: 400 }, (_, i) => i);
    const strata = strataOf(
      Int32Array.from({ length: 400 }, (_, i) => Number(i >= 200)),
      y,
    );
    expect(Array.from({ length: 8 }, (_, s) => strata.reduce((sum, own) => sum + Number(own === s), 0))).toEqual(
      new Array(8).fill(50),
    );
  });
});
