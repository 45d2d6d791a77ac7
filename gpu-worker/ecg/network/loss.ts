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

/**
 * The optional second step of a batch: what the network gives for the clean window, held fixed, is what it should give for
 * the noisy one. The authors' code lets gradients through both; without the stop it also draws towards a constant.
 * @param clean [batch, leads, window], the network's output for the clean window in the noisy one's unit
 */
export function consistencyLoss(output: g.Tensor, clean: g.Tensor): g.Tensor {
  return g.mean(g.square(g.sub(output, g.stopGradient(clean))));
}

const steps = (x: g.Tensor): g.Tensor => {
  const length = x.shape[2] as number;
  return g.sub(g.slice(x, 2, 1, length), g.slice(x, 2, 0, length - 1));
};
