/**
 * The network behind the long filter: it sees the signal without drift, the drift, and how noisy the seconds around are
 * (`denoise/context.ts`), and returns the signal without drift. A share of the input that depends on the levels goes
 * straight to the output, so that little noise leaves little to do and much noise leaves the signal to the network.
 */
import * as g from '../../graph/index.ts';
import { zeros } from '../../nn/index.ts';
import type { NetworkConfiguration } from './configuration.ts';
import { network } from './network.ts';

/** @param input [batch, leads + conditions, window], as `writeInput` lays it out @returns [batch, leads, window] */
export function joinedNetwork(config: NetworkConfiguration, input: g.Tensor): g.Tensor {
  const { leads, conditions } = config;
  const { output } = network(config, input);
  if (conditions === 0) {
    return output;
  }
  const levels = g.reshape(g.slice(g.slice(input, 1, 2 * leads, leads + conditions), 2, 0, 1), [
    input.shape[0]!,
    conditions - leads,
  ]);
  const weight = g.parameter('gate.weight', [conditions - leads, 1], zeros);
  const share = g.sigmoid(g.add(g.matmul(levels, weight), g.parameter('gate.bias', [1], zeros)));
  return g.add(output, g.mul(g.slice(input, 1, 0, leads), g.reshape(share, [input.shape[0]!, 1, 1])));
}
