/**
 * Mixtures of experts. Every expert reads every token and what a token did not choose counts nothing: exact, at the cost of all
 * experts.
 */
import type { Architecture, LayerWeights } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { activate, linear, type Parameters } from './layers.ts';

type Tensor = g.Tensor;

/** The weighted sum of the chosen experts for x [rows, width]; `at` is the hook point of the router's logits. */
export function mixture(
  a: Architecture,
  { router, each }: NonNullable<LayerWeights['experts']>,
  get: Parameters,
  x: Tensor,
  at: (logits: Tensor) => Tensor,
): Tensor {
  const { perToken, normalised } = a.experts ?? { perToken: 1, normalised: false };
  const logits = at(linear(router, get, x));
  const probabilities = g.softmax(logits);
  // Written so that what is no number stays none.
  const others = perToken < each.length ? g.less(logits, g.kthLargest(logits, perToken)) : null;
  const kept = others ? g.where(others, 0, probabilities) : probabilities;
  const shares = normalised ? g.div(kept, g.sum(kept, -1, true)) : kept;
  const outputs = each.map(({ gate, up, down }, expert) => {
    const inner = g.mul(activate(a.activation, linear(gate, get, x)), linear(up, get, x));
    const share = g.slice(shares, 1, expert, expert + 1);
    // An expert that was not chosen may be anything, infinite too.
    return g.where(g.equal(share, 0), 0, g.mul(linear(down, get, inner), share));
  });
  return outputs.reduce((sum, output) => g.add(sum, output));
}
