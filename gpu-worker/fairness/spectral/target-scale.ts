/** The target in units of its own spread: what networks are trained, edited and refitted in, whatever unit it came in. */
import type { DenseNetwork } from '../../../shared/fairness/predictors/network.ts';

/** y = mean + scale * standardised y. */
type TargetScale = { mean: number; scale: number };

/** Of the training rows; a target that does not vary keeps its unit. */
export function targetScale(y: Float64Array): TargetScale {
  const mean = y.reduce((sum, value) => sum + value, 0) / y.length;
  const scale = Math.sqrt(y.reduce((sum, value) => sum + (value - mean) ** 2, 0) / y.length);
  return { mean, scale: scale > 0 ? scale : 1 };
}

export const standardised = (y: Float64Array, { mean, scale }: TargetScale): Float64Array =>
  y.map((value) => (value - mean) / scale);

/** The network with its linear output multiplied and shifted; another output (a probability) has no unit to change. */
function withOutput(network: DenseNetwork, factor: number, shift: number): DenseNetwork {
  const last = network.at(-1);
  if (last?.activation !== 'identity') {
    return network;
  }
  const weights = last.weights.map((w) => w * factor);
  return [...network.slice(0, -1), { ...last, weights, bias: last.bias.map((b) => b * factor + shift) }];
}

/** A network that predicts the standardised target, as one that predicts the target. */
export const inTargetUnits = (network: DenseNetwork, { mean, scale }: TargetScale): DenseNetwork =>
  withOutput(network, scale, mean);
