/** MNIST, by a linear model on the 10,000-image set, and by a linear model and LeNet-5 on the whole. */
import { readFileSync } from 'node:fs';
import { idxImages } from '../../../gpu-worker/block-sparse/images.ts';
import { type MeasureOptions, measurePoint, type PointFigures } from '../../../gpu-worker/block-sparse/measure.ts';
import type { NetworkSpec } from '../../../gpu-worker/block-sparse/networks/network.ts';
import type { Plan, Point } from '../../../gpu-worker/block-sparse/points.ts';
import type { Tile } from '../../../gpu-worker/block-sparse/tiles.ts';
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
  idxImages(readFileSync(data('images', 'mnist', images)), readFileSync(data('images', 'mnist', labels)));
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
const rivals = (tile: Tile, sparsity: number): Setting[] => [
  { method: 'rigl', tile, sparsity },
  { method: 'pruning', tile, sparsity },
];
/** What the second implementation reports, and a frontier of every method around the 8 x 2 tile. */
const LINEAR: readonly Setting[] = [
  { method: 'dense', tile: [8, 2] },
  kpd([8, 2], 2, 2.5e-3),
  kpd([8, 2], 4, 2e-3),
  kpd([4, 2], 4, 1.7e-3),
  ...rivals([8, 2], 0.5),
  ...rivals([8, 2], 0.8),
  kpd([8, 2], 1, 0),
  ...[4e-4, 1e-3].map((lambda): Setting => ({ method: 'group_lasso', tile: [8, 2], lambda })),
  kpd([8, 2], 2, 0),
  kpd([8, 2], 2, 5e-3),
  kpd([8, 2], 2, 2.5e-3, 'coupled'),
  { method: 'elastic_l1', tile: [8, 2], lambda: 4e-4 },
  { method: 'elastic_l2', tile: [8, 2], lambda: 4e-4 },
];
/** The rest of the reference table. */
const TILES: readonly Setting[] = [
  kpd([2, 2], 1, 0),
  kpd([2, 2], 2, 0),
  kpd([2, 2], 2, 1.7e-3),
  kpd([2, 2], 2, 2.5e-3),
  kpd([4, 2], 2, 0),
  kpd([4, 2], 4, 3.5e-3),
  kpd([16, 2], 2, 2.5e-3),
  kpd([16, 2], 4, 3.5e-3),
  ...[2, 4, 16].flatMap((m): Setting[] => [
    { method: 'group_lasso', tile: [m, 2], lambda: 4e-4 },
    ...rivals([m, 2], 0.5),
  ]),
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

/** @param seeds splits, each with its own start of the weights and its own batches */
export async function linearOnTestSet(
  part: 'core' | 'tiles',
  seeds: readonly number[],
  { known, save }: Lines,
): Promise<void> {
  const { samples } = testSet();
  const spec: ModelSpec = { network: { kind: 'linear' }, inputs: 784, task: { kind: 'classes', outputs: 10 } };
  const subjects = seeds.map((seed) => {
    const [train, held] = splitSamples(samples, [8000, 2000], seed);
    if (!train || !held) {
      throw new Error('the set is smaller than 10,000 images');
    }
    return networkSubject(spec, { train, validation: held, test: held }, 200);
  });
  // Setting by setting, so that a study that was stopped has all splits of what it has.
  for (const setting of part === 'core' ? LINEAR : TILES) {
    for (const [i, seed] of seeds.entries()) {
      const subject = subjects[i];
      if (!subject || known.some((line) => sameSetting(setting, seed, line))) {
        continue;
      }
      save(await measure(setting, recipe(600, seed), seed, { subject, threads: 1 }));
    }
  }
}

const FULL: Record<
  'linear' | 'lenet',
  { network: NetworkSpec; steps: number; rate: number; settings: readonly Setting[] }
> = {
  linear: {
    network: { kind: 'linear' },
    steps: 2250,
    rate: 0.1,
    settings: [
      { method: 'dense', tile: [8, 2] },
      kpd([8, 2], 2, 0),
      kpd([8, 2], 2, 1.2e-3),
      kpd([8, 2], 4, 1.2e-3),
      { method: 'group_lasso', tile: [8, 2], lambda: 3e-4 },
      { method: 'rigl', tile: [8, 2], sparsity: 0.5 },
      { method: 'pruning', tile: [8, 2], sparsity: 0.5 },
    ],
  },
  lenet: {
    network: { kind: 'lenet' },
    steps: 900,
    rate: 0.05,
    settings: [
      { method: 'dense', tile: [4, 4] },
      kpd([4, 4], 2, 0),
      kpd([4, 4], 2, 6e-3),
      kpd([4, 4], 2, 9e-3),
      { method: 'group_lasso', tile: [4, 4], lambda: 1e-4 },
      { method: 'rigl', tile: [4, 4], sparsity: 0.5 },
      { method: 'pruning', tile: [4, 4], sparsity: 0.5 },
      { method: 'pruning', tile: [4, 4], sparsity: 0.8 },
    ],
  },
};

/** The whole set: 60,000 images to learn from (of which 5,000 for validation), 10,000 to test on. */
export async function full(kind: keyof typeof FULL, seeds: readonly number[], { known, save }: Lines): Promise<void> {
  const { network, steps, rate, settings } = FULL[kind];
  const { samples, image } = trainSet();
  const test = testSet().samples;
  const spec: ModelSpec = { network, inputs: 784, task: { kind: 'classes', outputs: 10 }, image };
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
      // Rectifiers halve the variance, which the dense start makes up for.
      const gains = kind === 'lenet' ? { gain: Math.SQRT2, kroneckerGain: Math.SQRT2 } : {};
      save(await measure(setting, { ...recipe(steps, seed), rate, ...gains }, seed, { subject, threads: 2 }));
    }
  }
}

export const progress = ({ point, rank, test, zeroShare, seconds, stopped }: Line): string =>
  `seed ${point.seed} ${point.method} ${point.tile.join('x')} r${rank} ${point.lambda ?? point.sparsity ?? ''}: ` +
  `${(100 * (test.accuracy ?? 0)).toFixed(2)} %, zero ${(100 * zeroShare).toFixed(1)} %, ${seconds.toFixed(1)} s` +
  (stopped ? `, stopped at ${stopped.step}` : '');
