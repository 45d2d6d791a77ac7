/** What is learned: a loss as a graph over the layers that a method makes, batches, and a score on rows not trained on. */
import type { HostArray, Tensor } from '../../graph/index.ts';
import { input } from '../../graph/index.ts';
import type { Values } from '../methods/method.ts';
import { Evaluator, type Score } from './evaluation.ts';
import { type MadeModel, type ModelSpec, modelLoss, modelOutput } from './model.ts';
import { batchPositions, type Samples } from './samples.ts';

export type Scorer = { score(values: Values): Promise<Score>; release(): Promise<void> };
export type Problem = {
  /** The mean loss of a batch; its inputs are those that `feeds` gives. */
  loss(model: MadeModel): Tensor;
  feeds(step: number): Readonly<Record<string, HostArray>> | Promise<Readonly<Record<string, HostArray>>>;
  /** Bytes of a step's feeds. */
  stepBytes: number;
  scorer(model: MadeModel, threads: number): Promise<Scorer>;
  /** Values that training starts from, where it does not start from the beginning. */
  initial?(model: MadeModel): Readonly<Record<string, ArrayLike<number>>>;
};

/** A network over rows of numbers; the batches depend on nothing but `seed`, so that all methods see the same ones. */
export function networkProblem(
  spec: ModelSpec,
  { train, validation }: { train: Samples; validation: Samples },
  { batch, seed }: { batch: number; seed: number },
): Problem {
  const positions = batchPositions(train.rows, batch, seed);
  return {
    loss: (model) => modelLoss(spec.task, modelOutput(spec, input('x', [batch, spec.inputs]), model)),
    feeds: (step) => batchFeeds(spec, train, positions(step)),
    stepBytes: 4 * batch * spec.inputs,
    async scorer(model, threads) {
      const evaluator = await Evaluator.create(spec, model, threads);
      return { score: (values) => evaluator.score(values, validation), release: () => evaluator.release() };
    },
  };
}

function batchFeeds(spec: ModelSpec, { width, x, y, rows }: Samples, positions: Uint32Array) {
  const columns = y.length / rows;
  const [batchX, batchY] = [new Float32Array(positions.length * width), new Float32Array(positions.length * columns)];
  positions.forEach((row, i) => {
    batchX.set(x.subarray(row * width, (row + 1) * width), i * width);
    batchY.set(y.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  if (spec.task.kind === 'values') {
    return { x: batchX, value: batchY };
  }
  return { x: batchX, class: BigInt64Array.from(batchY, BigInt) };
}
