/** What the points of a comparison are measured on: a model with its linear layers, what it learns, rows to test it on. */
import type { Values } from '../methods/method.ts';
import { otherMacs } from '../networks/network.ts';
import { Evaluator, type Score } from './evaluation.ts';
import { type LinearShape, linearShapes, type MadeModel, type ModelSpec } from './model.ts';
import { networkProblem, type Problem } from './problem.ts';
import type { Samples } from './samples.ts';

export type Subject = {
  shapes: readonly LinearShape[];
  /** Multiply-adds outside the linear layers, per row. */
  otherMacs: number;
  problem(seed: number): Problem;
  test(model: MadeModel, values: Values, threads: number): Promise<Score>;
};

type NetworkData = { train: Samples; validation: Samples; test: Samples };

/** A network that is trained anew. */
export const networkSubject = (spec: ModelSpec, data: NetworkData, batch: number): Subject => ({
  shapes: linearShapes(spec),
  otherMacs: otherMacs(spec.network, spec.image),
  problem: (seed) => networkProblem(spec, data, { batch, seed }),
  async test(model, values, threads) {
    const evaluator = await Evaluator.create(spec, model, threads);
    return evaluator.score(values, data.test).finally(() => evaluator.release());
  },
});
