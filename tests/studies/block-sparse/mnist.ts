/** MNIST, by a linear model on the 10,000-image set, and by a linear model and LeNet-5 on the whole. */
import { readFileSync } from 'node:fs';
import {
  type MeasureOptions,
  measurePoint,
  type PointFigures,
} from '../../../gpu-worker/block-sparse/comparison/measure.ts';
import { type Plan, type Point, penaltyUnit } from '../../../gpu-worker/block-sparse/comparison/points.ts';
import type { NetworkSpec } from '../../../gpu-worker/block-sparse/networks/network.ts';
import type { Tile } from '../../../gpu-worker/block-sparse/tiles/tiles.ts';
import { idxImages } from '../../../gpu-worker/block-sparse/training/image-sets.ts';
import type { ModelSpec } from '../../../gpu-worker/block-sparse/training/model.ts';
import { splitSamples } from '../../../gpu-worker/block-sparse/training/samples.ts';
import { networkSubject } from '../../../gpu-worker/block-sparse/training/subject.ts';
import { data } from '../../support/guide.ts';

export type Line = Omit<PointFigures, 'curve'> & { rank: number; decay: string };
type Setting = {
  method: Point['method'];
  tile: Tile;
  rank?: number;
  lambda?: number;
  sparsity?: number;
  decay?: 'decoupled' | 'coupled';
};

const read = (images: string, labels: string) =>
  idxImages(
    readFileSync(data('images', 'mnist', images)),
    readFileSync(data('images', 'mnist', labels)),
    Number.POSITIVE_INFINITY,
  );
export const testSet = () => read('t10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz');
export const trainSet = () => read('train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz');

/** The recipe of the reference figures: SGD with momentum, half a cosine from 0.2, 600 steps of 200, decay 1e-3. */
export const recipe = (steps: number, seed: number): Plan => ({
  methods: [],
  tiles: [[8, 2]],
  rank: 2,
  lambda: [],
  lambdaAbsolute: [],
  sparsity: [],
  groupLambda: 0,
  seeds: [seed],
  steps,
  debiasSteps: 0,
  rate: 0.2,
  optimiser: { kind: 'sgd', momentum: 0.9 },
  ramp: 1,
  freezeFrom: steps + 1,
  decay: { kind: 'decoupled', value: 1e-3 },
  gain: 1,
  kroneckerGain: 2,
  build: false,
});

async function measure(
  setting: Setting,
  plan: Plan,
  seed: number,
  options: Omit<MeasureOptions, 'plan'>,
): Promise<Line> {
  const { method, tile, rank = 2, lambda = null, sparsity = null, decay = 'decoupled' } = setting;
  const own = { ...plan, rank, decay: { ...plan.decay, kind: decay } };
  const { figures } = await measurePoint({ method, tile, lambda, sparsity, seed }, { ...options, plan: own });
  const { curve: _, ...line } = figures;
  return { ...line, rank, decay };
}

const kpd = (tile: Tile, rank: number, lambda: number, decay: Setting['decay'] = 'decoupled'): Setting => ({
  method: lambda > 0 ? 'kpd' : 'kpd_unpenalised',
  tile,
  rank,
  lambda,
  decay,
});
const under = (method: Point['method'], tile: Tile, lambdas: readonly number[]): Setting[] =>
  lambdas.map((lambda) => ({ method, tile, lambda }));
const at = (tile: Tile, shares: readonly number[]): Setting[] =>
  (['rigl', 'pruning'] as const).flatMap((method) => shares.map((sparsity) => ({ method, tile, sparsity })));
/** What the reference table and the second implementation report for tiles of 8 x 2. */
const REPORTED: readonly Setting[] = [
  { method: 'dense', tile: [8, 2] },
  kpd([8, 2], 1, 0),
  kpd([8, 2], 2, 0),
  kpd([8, 2], 2, 2.5e-3),
  kpd([8, 2], 2, 2.5e-3, 'coupled'),
  kpd([8, 2], 4, 2e-3),
  kpd([4, 2], 4, 1.7e-3),
  ...at([8, 2], [0.5, 0.8]),
  ...under('group_lasso', [8, 2], [4e-4]),
];
/** Strengths beyond those, up to 80 % zero tiles where a method gets there. */
const FURTHER: readonly Setting[] = [
  ...[5e-3, 1e-2, 2e-2, 4e-2].map((lambda) => kpd([8, 2], 2, lambda)),
  ...[1e-2, 4e-2].map((lambda) => kpd([8, 2], 4, lambda)),
  ...under('group_lasso', [8, 2], [1e-3, 5e-3, 1e-2]),
  ...under('elastic_l1', [8, 2], [4e-4, 1e-3, 1e-2]),
  ...under('elastic_l2', [8, 2], [4e-4, 1e-3, 1e-2]),
];
const REFIT: readonly Setting[] = [
  { method: 'dense', tile: [8, 2] },
  ...[0, 3e-3, 1e-2, 4e-2].map((lambda) => kpd([8, 2], 2, lambda)),
  ...[0, 3e-3, 1e-2, 4e-2].map((lambda) => kpd([8, 2], 4, lambda)),
  ...under('group_lasso', [8, 2], [5e-4, 2e-3, 1.3e-2]),
  ...at([8, 2], [0.5, 0.8]),
];
/** The rest of the reference table. */
const TILES: readonly Setting[] = [
  { method: 'dense', tile: [8, 2] },
  kpd([2, 2], 1, 0),
  kpd([2, 2], 2, 0),
  kpd([2, 2], 2, 1.7e-3),
  kpd([2, 2], 2, 2.5e-3),
  kpd([4, 2], 2, 0),
  kpd([4, 2], 4, 3.5e-3),
  kpd([16, 2], 2, 2.5e-3),
  kpd([16, 2], 4, 3.5e-3),
  ...([2, 4, 16] as const).flatMap((m) => [...under('group_lasso', [m, 2], [4e-4]), ...at([m, 2], [0.5])]),
];

/** Lines that are there already are kept; each new one is handed to `save`, so that a study that was stopped goes on. */
export type Lines = { known: readonly Line[]; save(line: Line): void };
const sameSetting = (
  { method, tile, rank = 2, lambda, sparsity, decay = 'decoupled' }: Setting,
  seed: number,
  line: Line,
) =>
  line.point.method === method &&
  line.point.tile.join() === tile.join() &&
  line.rank === rank &&
  line.decay === decay &&
  line.point.lambda === (lambda ?? null) &&
  line.point.sparsity === (sparsity ?? null) &&
  line.point.seed === seed;

const PARTS = {
  mnist: { settings: REPORTED, steps: 600, debiasSteps: 0 },
  frontier: { settings: FURTHER, steps: 600, debiasSteps: 0 },
  // The same number of steps, the last quarter without a penalty and with the zero tiles fixed, whatever the method.
  refit: { settings: REFIT, steps: 450, debiasSteps: 150 },
  tiles: { settings: TILES, steps: 600, debiasSteps: 0 },
} as const;
type LinearPart = keyof typeof PARTS;

/** @param seeds splits, each with its own start of the weights and its own batches */
export async function linearOnTestSet(
  part: LinearPart,
  seeds: readonly number[],
  { known, save }: Lines,
): Promise<void> {
  const { samples } = testSet();
  const { settings, steps, debiasSteps } = PARTS[part];
  const spec: ModelSpec = { network: { kind: 'linear' }, inputs: 784, task: { kind: 'classes', outputs: 10 } };
  const subjects = seeds.map((seed) => {
    const [train, held] = splitSamples(samples, [8000, 2000], seed);
    if (!train || !held) {
      throw new Error('the set is smaller than 10,000 images');
    }
    return networkSubject(spec, { train, validation: held, test: held }, 200);
  });
  // Setting by setting, so that a study that was stopped has all splits of what it has.
  for (const setting of settings) {
    for (const [i, seed] of seeds.entries()) {
      const subject = subjects[i];
      if (!subject || known.some((line) => sameSetting(setting, seed, line))) {
        continue;
      }
      save(await measure(setting, { ...recipe(steps, seed), debiasSteps }, seed, { subject, threads: 1 }));
    }
  }
}

/** A network on the whole set; strengths of the sums are in units of the critical penalty of its schedule. */
type FullPart = {
  network: NetworkSpec;
  plan: Partial<Plan> & Pick<Plan, 'steps' | 'rate'>;
  tile: Tile;
  ranks: readonly number[];
  shares: readonly number[];
  lasso: readonly number[];
  zeros: readonly number[];
};
/** Rectifiers halve the variance, which the start makes up for. */
const RECTIFIED = { gain: Math.SQRT2, kroneckerGain: Math.SQRT2 };
const FULL: Readonly<Record<'linear' | 'lenet' | 'vit', FullPart>> = {
  linear: {
    network: { kind: 'linear' },
    plan: { steps: 2250, rate: 0.1 },
    tile: [8, 2],
    ranks: [2, 4],
    shares: [0, 1.2, 2.5, 10],
    lasso: [3e-4, 1e-3, 3e-3],
    zeros: [0.5, 0.8],
  },
  lenet: {
    network: { kind: 'lenet' },
    plan: { steps: 400, rate: 0.05, ...RECTIFIED },
    tile: [4, 4],
    ranks: [2],
    shares: [0, 1.2, 2],
    lasso: [1e-3, 4e-3],
    zeros: [0.5, 0.8],
  },
  vit: {
    network: { kind: 'vit', patch: 7, width: 64, depth: 2, heads: 4 },
    plan: { steps: 400, rate: 0.1, ...RECTIFIED },
    tile: [4, 4],
    ranks: [2],
    // A little above the critical penalty a whole layer dies.
    shares: [0, 0.95, 1.02],
    lasso: [1e-3, 4e-3],
    zeros: [0.5, 0.8],
  },
};

/** The whole set: 60,000 images to learn from (of which 5,000 for validation), 10,000 to test on. */
export async function full(kind: keyof typeof FULL, seeds: readonly number[], { known, save }: Lines): Promise<void> {
  const { network, plan, tile, ranks, shares, lasso, zeros } = FULL[kind];
  const { samples, image } = trainSet();
  const test = testSet().samples;
  const spec: ModelSpec = { network, inputs: 784, task: { kind: 'classes', outputs: 10 }, image };
  const planOf = (seed: number): Plan => ({ ...recipe(plan.steps, seed), ...plan });
  const { critical } = penaltyUnit(planOf(0));
  const settings: readonly Setting[] = [
    { method: 'dense', tile },
    ...ranks.flatMap((rank) => shares.map((share) => kpd(tile, rank, share * critical))),
    ...under('group_lasso', tile, lasso),
    ...at(tile, zeros),
  ];
  for (const seed of seeds) {
    const [validation, train] = splitSamples(samples, [5000, 55_000], seed);
    if (!train || !validation) {
      throw new Error('the set is smaller than 60,000 images');
    }
    const subject = networkSubject(spec, { train, validation, test }, 200);
    for (const setting of settings) {
      if (known.some((line) => sameSetting(setting, seed, line))) {
        continue;
      }
      save(await measure(setting, planOf(seed), seed, { subject, threads: 1 }));
    }
  }
}

export const progress = ({ point, rank, test, zeroShare, seconds, stopped }: Line): string =>
  `seed ${point.seed} ${point.method} ${point.tile.join('x')} r${rank} ${point.lambda ?? point.sparsity ?? ''}: ` +
  `${(100 * (test.accuracy ?? 0)).toFixed(2)} %, zero ${(100 * zeroShare).toFixed(1)} %, ${seconds.toFixed(1)} s` +
  (stopped ? `, stopped at ${stopped.step}` : '');
