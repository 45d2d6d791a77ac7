/** The loss (7): squared error, and how far the sizes of the output's steps are from those of the target's. */
import * as g from '../../graph/index.ts';

const STEP_WEIGHT = 0.01;

/**
 * @param output [batch, leads, window]
 * @param weights [batch] factors on the windows' losses; all 1 where left out
 */
export function denoisingLoss(output: g.Tensor, target: g.Tensor, weights?: g.Tensor): g.Tensor {
  const squared = g.square(g.sub(output, target));
  const stepped = g.abs(g.sub(g.abs(steps(output)), g.abs(steps(target))));
  if (!weights) {
    return g.add(g.mean(squared), g.mul(g.mean(stepped), STEP_WEIGHT));
  }
  const perWindow = (values: g.Tensor) => g.mean(values, [1, 2]);
  return g.mean(g.mul(weights, g.add(perWindow(squared), g.mul(perWindow(stepped), STEP_WEIGHT))));
}

const steps = (x: g.Tensor): g.Tensor => {
  const length = x.shape[2] as number;
  return g.sub(g.slice(x, 2, 1, length), g.slice(x, 2, 0, length - 1));
};
