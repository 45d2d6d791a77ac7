/** The loss (7): squared error, and how far the sizes of the output's steps are from those of the target's. */
import * as g from '../../graph/index.ts';

const STEP_WEIGHT = 0.01;
/** Loss of a window, in squared units of its scale, below which it is as good as none: 25 dB. */
const SMALLEST = 0.003;

/**
 * @param output [batch, leads, window]
 * @returns a scalar
 */
export const denoisingLoss = (output: g.Tensor, target: g.Tensor): g.Tensor =>
  g.add(g.mean(squared(output, target)), g.mul(g.mean(stepped(output, target)), STEP_WEIGHT));

/**
 * The mean over windows of the logarithm of (7): what the mean of the windows' ratios in decibels follows, so that windows
 * with little noise count like those with much.
 */
export function logarithmicLoss(output: g.Tensor, target: g.Tensor): g.Tensor {
  const perWindow = (values: g.Tensor) => g.mean(values, [1, 2]);
  const loss = g.add(perWindow(squared(output, target)), g.mul(perWindow(stepped(output, target)), STEP_WEIGHT));
  return g.mean(g.log(g.add(loss, SMALLEST)));
}

const squared = (output: g.Tensor, target: g.Tensor): g.Tensor => g.square(g.sub(output, target));
const stepped = (output: g.Tensor, target: g.Tensor): g.Tensor =>
  g.abs(g.sub(g.abs(steps(output)), g.abs(steps(target))));

const steps = (x: g.Tensor): g.Tensor => {
  const length = x.shape[2] as number;
  return g.sub(g.slice(x, 2, 1, length), g.slice(x, 2, 0, length - 1));
};
