import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as g from '../../../gpu-worker/graph/index.ts';
import { adam, adamW, filledWith, linear, normal, type Optimiser, sgd, warmUp } from '../../../gpu-worker/nn/index.ts';
import {
  decoupledDecay,
  fromSteps,
  Trainer,
  type TrainerOptions,
  unitRows,
} from '../../../gpu-worker/training/index.ts';
import { stream } from '../../../shared/math/random.ts';

const ROWS = 8;
/** From `rate` to 0 in a straight line over steps 1 .. steps. */
const linearRate = (rate: number, steps: number) => (step: number) =>
  rate * (1 - Math.min((step - 1) / (steps - 1), 1));

/** Linear regression of two outputs on three inputs through a parameter of known gradient. */
function regression(): Pick<TrainerOptions, 'name' | 'loss'> {
  const x = g.input('x', [ROWS, 3]);
  const y = g.input('y', [ROWS, 2]);
  const w = g.parameter('w', [3, 2], normal(0.5));
  const b = g.parameter('b', [2], filledWith(0.1));
  return { name: 'regression', loss: g.meanSquaredError(g.add(g.matmul(x, w), b), y) };
}
const source = (steps: number, chunk: number) =>
  fromSteps(steps, chunk, (step) => ({
    x: stream(step, 'x').normal32(ROWS * 3),
    y: stream(step, 'y').normal32(ROWS * 2),
  }));

async function train(options: Partial<TrainerOptions>, steps = 12, chunk = 5) {
  const trainer = await Trainer.create({ ...regression(), optimiser: adam(), rate: 0.01, seed: 3, ...options });
  const losses: number[] = [];
  for await (const { metrics } of trainer.run(source(steps, chunk))) {
    losses.push(...metrics.loss);
  }
  const parameters = await trainer.parameters();
  return { trainer, losses, parameters };
}

/** The same regression by hand in float64, with one function moving all parameters. */
function byHand(move: (p: number, gradient: number, i: number, step: number) => number, steps = 12): Float64Array {
  const start = (name: string, n: number) => [...stream(3, `parameter ${name}`).normal32(n, { deviation: 0.5 })];
  const p = Float64Array.from([...start('w', 6), 0.1, 0.1].map(Math.fround));
  for (let step = 0; step < steps; step++) {
    const x = stream(step, 'x').normal32(ROWS * 3);
    const y = stream(step, 'y').normal32(ROWS * 2);
    const gradient = new Float64Array(8);
    for (let row = 0; row < ROWS; row++) {
      for (let j = 0; j < 2; j++) {
        let error = p[6 + j]! - y[row * 2 + j]!;
        for (let i = 0; i < 3; i++) {
          error += x[row * 3 + i]! * p[i * 2 + j]!;
        }
        const slope = (2 * error) / (ROWS * 2);
        for (let i = 0; i < 3; i++) {
          gradient[i * 2 + j]! += slope * x[row * 3 + i]!;
        }
        gradient[6 + j]! += slope;
      }
    }
    gradient.forEach((value, i) => {
      p[i] = move(p[i]!, value, i, step + 1);
    });
  }
  return p;
}
const flat = (parameters: Awaited<ReturnType<typeof train>>['parameters']) =>
  [...parameters.w!.data, ...parameters.b!.data].map(Number);
function expectClose(actual: readonly number[], expected: ArrayLike<number>, tolerance = 2e-6): void {
  for (const [i, value] of actual.entries()) {
    expect(Math.abs(value - expected[i]!), `element ${i}`).toBeLessThan(tolerance);
  }
}

describe('optimisers follow their definition', () => {
  const [m, v] = [new Float64Array(8), new Float64Array(8)];
  const adamBy = (decay: number, decoupled: number) => (p: number, gradient: number, i: number, step: number) => {
    if (step === 1) {
      [m[i], v[i]] = [0, 0];
    }
    const slope = gradient + decay * p;
    m[i] = 0.9 * m[i]! + 0.1 * slope;
    v[i] = 0.999 * v[i]! + 0.001 * slope * slope;
    const direction = m[i]! / (1 - 0.9 ** step) / (Math.sqrt(v[i]! / (1 - 0.999 ** step)) + 1e-8);
    return p - 0.01 * decoupled * p - 0.01 * direction;
  };
  const velocity = new Float64Array(8);
  const momentum = (p: number, gradient: number, i: number, step: number) => {
    velocity[i] = step === 1 ? gradient : 0.9 * velocity[i]! + gradient;
    return p - 0.01 * velocity[i]!;
  };
  it.each<[string, Optimiser, Parameters<typeof byHand>[0]]>([
    ['sgd', sgd(), (p, gradient) => p - 0.01 * gradient],
    ['sgd with momentum', sgd({ momentum: 0.9 }), momentum],
    ['adam', adam(), adamBy(0, 0)],
    ['adam with decay in the gradient', adam({ weightDecay: 0.1 }), adamBy(0.1, 0)],
    ['adamW', adamW({ weightDecay: 0.1 }), adamBy(0, 0.1)],
  ])('%s', async (_, optimiser, move) => {
    const { trainer, parameters } = await train({ optimiser });
    expectClose(flat(parameters), byHand(move));
    await trainer.release();
  });

  it('feeds schedules per step', async () => {
    const rate = warmUp(4, linearRate(0.1, 12));
    const { trainer, parameters } = await train({ optimiser: sgd(), rate });
    expectClose(
      flat(parameters),
      byHand((p, gradient, _, step) => p - rate(step) * gradient),
    );
    await trainer.release();
  });

  it('applies groups: another rate, frozen parameters', async () => {
    const groups = [{ match: 'b', rate: 3 }];
    const { trainer, parameters } = await train({ optimiser: sgd(), groups });
    expectClose(
      flat(parameters),
      byHand((p, gradient, i) => p - 0.01 * (i >= 6 ? 3 : 1) * gradient),
    );
    await trainer.release();
    const frozen = await train({ optimiser: sgd(), groups: [{ match: /^b$/, frozen: true }] });
    expectClose(
      flat(frozen.parameters),
      byHand((p, gradient, i) => (i >= 6 ? p : p - 0.01 * gradient)),
    );
    await frozen.trainer.release();
  });

  it('keeps a moving average', async () => {
    const mean = new Float64Array(8);
    byHand((p, gradient, i, step) => {
      const next = p - 0.01 * gradient;
      mean[i] = 0.8 * (step === 1 ? p : mean[i]!) + 0.2 * next;
      return next;
    });
    const { trainer } = await train({ optimiser: sgd(), average: 0.8 });
    expectClose(flat(await trainer.averages()), mean);
    await trainer.release();
  });

  it('clips by the common norm of all gradients', async () => {
    const trainer = await Trainer.create({ ...regression(), optimiser: sgd(), rate: 1, clipNorm: 0.01, seed: 3 });
    const before = flat(await trainer.parameters());
    for await (const { metrics } of trainer.run(source(1, 1))) {
      expect(metrics.gradient_norm![0]).toBeGreaterThan(0.01);
    }
    const moved = flat(await trainer.parameters()).map((value, i) => value - before[i]!);
    expect(Math.hypot(...moved)).toBeCloseTo(0.01, 6);
    await trainer.release();
  });

  it('keeps rows of unit length and removes the part of the gradient along them', async () => {
    const x = g.input('x', [ROWS, 3]);
    const rows = g.parameter('rows', [4, 3], (shape, random) => random.normal(shape[0]! * shape[1]!));
    const loss = g.mean(g.square(g.sub(g.matmul(g.relu(g.matmul(x, rows, { transB: true })), rows), x)));
    const options = { name: 'rows', loss, optimiser: adam(), rate: 0.1, constraints: [unitRows('rows')] };
    const trainer = await Trainer.create(options);
    const steps = fromSteps(6, 3, (step) => ({ x: stream(step, 'x').normal32(ROWS * 3) }));
    for await (const { metrics } of trainer.run(steps)) {
      expect(metrics.loss.every(Number.isFinite)).toBe(true);
    }
    const { data } = (await trainer.parameters()).rows!;
    for (let i = 0; i < 4; i++) {
      expect(Math.hypot(...[...data.subarray(3 * i, 3 * i + 3)].map(Number))).toBeCloseTo(1, 6);
    }
    await trainer.release();
  });
});

describe('constraints', () => {
  it('receive the learning rate of the step and the parameter before it, and may read inputs of their own', async () => {
    const limit = g.input('limit', []);
    const seen: TrainerOptions['constraints'] = [
      decoupledDecay('b', 0.5),
      {
        name: 'slow',
        applies: (name) => name === 'w',
        parameter: (w, { rate, before }) => g.add(before, g.mul(g.sub(w, before), g.mul(rate, limit))),
      },
    ];
    const rate = linearRate(0.3, 12);
    const trainer = await Trainer.create({ ...regression(), optimiser: sgd(), rate, seed: 3, constraints: seen });
    const limited = fromSteps(12, 5, async (step) => {
      const [, { feeds }] = [step, (await source(12, 1)(step)[Symbol.asyncIterator]().next()).value!];
      return { ...feeds, limit: Float32Array.of(1 + step) };
    });
    for await (const { metrics } of trainer.run(limited)) {
      expect(metrics.loss.every(Number.isFinite)).toBe(true);
    }
    const expected = byHand((p, gradient, i, step) => {
      const moved = p - rate(step) * gradient;
      return i < 6 ? p + (moved - p) * rate(step) * step : moved * (1 - 0.5 * rate(step));
    });
    expectClose(flat(await trainer.parameters()), expected);
    await trainer.release();
  });

  it('change the state that the optimiser keeps of a parameter', async () => {
    // Without memory, momentum is no momentum.
    const forgetful = [{ name: 'forget', applies: () => true, slot: g.zerosLike }];
    const { parameters, trainer } = await train({ optimiser: sgd({ momentum: 0.9 }), constraints: forgetful });
    const plain = await train({ optimiser: sgd() });
    expect(flat(parameters)).toEqual(flat(plain.parameters));
    await trainer.release();
    await plain.trainer.release();
  });
});

describe('exactness', () => {
  it('does not depend on the chunk size, and repeats bitwise', async () => {
    const runs = await Promise.all([train({}, 12, 1), train({}, 12, 5), train({}, 12, 12), train({}, 12, 5)]);
    for (const { losses, parameters, trainer } of runs) {
      expect(losses).toEqual(runs[0]!.losses);
      expect(flat(parameters)).toEqual(flat(runs[0]!.parameters));
      await trainer.release();
    }
  });

  it('continues from a checkpoint as if never stopped', async () => {
    const options: Partial<TrainerOptions> = { average: 0.9, rate: warmUp(5, linearRate(0.05, 20)), clipNorm: 0.5 };
    const whole = await train(options, 20, 4);
    const first = await Trainer.create({ ...regression(), optimiser: adam(), rate: 0.01, seed: 3, ...options });
    for await (const { firstStep, steps } of first.run(source(20, 7))) {
      if (firstStep + steps >= 7) {
        break;
      }
    }
    const checkpoint = await first.checkpoint();
    await first.release();
    expect(checkpoint.step).toBe(7);
    const second = await train({ ...options, seed: 99, resume: checkpoint }, 20, 3);
    expect(second.losses).toEqual(whole.losses.slice(7));
    expect(flat(second.parameters)).toEqual(flat(whole.parameters));
    expect(flat(await second.trainer.averages())).toEqual(flat(await whole.trainer.averages()));
    const other = { ...regression(), optimiser: adam({ beta2: 0.9 }), rate: 0.01, resume: checkpoint };
    await expect(Trainer.create(other)).rejects.toMatchObject({ code: 'checkpoint_mismatch' });
    await whole.trainer.release();
    await second.trainer.release();
  });

  it('prepares the next chunk while one is computed', async () => {
    const events: string[] = [];
    const trainer = await Trainer.create({ ...regression(), optimiser: sgd(), rate: 0.1 });
    const logged = fromSteps(3, 1, (step) => {
      events.push(`asked ${step}`);
      return { x: new Float32Array(ROWS * 3), y: new Float32Array(ROWS * 2) };
    });
    for await (const { firstStep } of trainer.run(logged)) {
      events.push(`done ${firstStep}`);
    }
    expect(events.indexOf('asked 1')).toBeLessThan(events.indexOf('done 0'));
    expect(events.indexOf('asked 2')).toBeLessThan(events.indexOf('done 1'));
    await trainer.release();
  });
});

describe('what keeps its value', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'frozen-'));
    // 1, -2 as bfloat16, after two bytes of something else.
    writeFileSync(join(folder, 'weights.bin'), new Uint16Array([7, 0x3f80, 0xc000]));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('weights in files and shared inputs take part in every step', async () => {
    const frozen = g.cast(g.external({ file: 'weights.bin', offset: 2, length: 4 }, [2], 'bfloat16'), 'float32');
    const w = g.parameter('w', [2], filledWith(0));
    const goal = g.mul(frozen, g.input('gain', [2]));
    const loss = g.sum(g.square(g.sub(g.add(w, g.input('noise', [2])), goal)));
    const options = { name: 'frozen', loss, optimiser: sgd(), rate: 0.25, shared: ['gain'], weightsFolder: folder };
    const trainer = await Trainer.create(options);
    const feeds = { gain: Float32Array.of(3, 5), noise: new Float32Array(40) };
    async function* once() {
      yield { steps: 20, feeds };
    }
    for await (const { metrics } of trainer.run(once)) {
      expect(metrics.loss.at(-1)).toBeLessThan(1e-6);
    }
    const { data } = (await trainer.parameters()).w!;
    expect(Number(data[0])).toBeCloseTo(3, 4);
    expect(Number(data[1])).toBeCloseTo(-10, 4);
    await trainer.release();
  });
});

describe('bad input', () => {
  it('stops at a loss that is not finite, with the step, the program and the largest gradient', async () => {
    const trainer = await Trainer.create({ ...regression(), optimiser: sgd(), rate: 0.01, seed: 3 });
    const poisoned = fromSteps(6, 3, (step) => ({
      x: stream(step, 'x').normal32(ROWS * 3),
      y: new Float32Array(ROWS * 2).fill(step === 4 ? Number.NaN : 1),
    }));
    const run = async () => {
      for await (const _ of trainer.run(poisoned)) {
      }
    };
    await expect(run()).rejects.toMatchObject({ code: 'loss_not_finite' });
    await expect(run()).rejects.toThrow(
      /regression: the loss is NaN at step 5; largest gradient [\d.]+ in '[wb]' at step 4/,
    );
    expect(trainer.step).toBe(3);
    await trainer.release();
  });

  it('refuses what exceeds the memory budget, with the estimate', async () => {
    const big = { name: 'big', optimiser: adam(), rate: 0.1, memoryBudget: 2 ** 20 };
    const loss = g.mean(linear('layer', g.input('x', [64, 512]), 512));
    await expect(Trainer.create({ ...big, loss })).rejects.toMatchObject({ code: 'memory_budget_exceeded' });
    await expect(Trainer.create({ ...big, loss })).rejects.toThrow(/big needs about \d+ MiB/);
  });

  it('refuses missing and mismatched data', async () => {
    const trainer = await Trainer.create({ ...regression(), optimiser: sgd(), rate: 0.01 });
    const once = async (feeds: Record<string, g.HostArray>) => {
      for await (const _ of trainer.run(fromSteps(1, 1, () => feeds))) {
      }
    };
    const [x, y] = [new Float32Array(ROWS * 3), new Float32Array(ROWS * 2)];
    await expect(once({ x })).rejects.toMatchObject({ code: 'feed_missing' });
    await expect(once({ x, y: new Float32Array(3) })).rejects.toMatchObject({ code: 'feed_mismatch' });
    await expect(once({ x, y: new Float64Array(ROWS * 2) })).rejects.toMatchObject({ code: 'feed_mismatch' });
    await expect(once({ x, y, z: y })).rejects.toMatchObject({ code: 'feed_mismatch' });
    await trainer.release();
    const lost = { name: 'lost', loss: g.sum(g.parameter('p', [2])), optimiser: sgd(), rate: 1 };
    await expect(Trainer.create(lost)).rejects.toMatchObject({ code: 'feed_missing' });
  });
});
