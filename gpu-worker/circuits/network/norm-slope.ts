/** How a norm passes slopes of its output on to its input, for many slopes at one input. */
import type { Architecture, Norm } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { type Parameters, weightValue } from '../../lm/index.ts';

/**
 * Slopes by the input x [rows, width] of slopes by the output [count, rows, width]. Reverse mode would first add them up.
 */
export function normSlope(
  { norm: { kind, eps, weightOffset } }: Architecture,
  { weight }: Norm,
  get: Parameters,
  x: g.Tensor,
  slopes: g.Tensor,
): g.Tensor {
  const scale = g.add(weightValue(get, weight), weightOffset);
  const centred = kind === 'layer' ? g.sub(x, g.mean(x, -1, true)) : x;
  const inverse = g.rsqrt(g.add(g.mean(g.square(centred), -1, true), eps));
  const unit = g.mul(centred, inverse);
  const scaled = g.mul(slopes, g.mul(scale, inverse));
  const along = g.mul(unit, g.mean(g.mul(scaled, unit), -1, true));
  return g.sub(kind === 'layer' ? g.sub(scaled, g.mean(scaled, -1, true)) : scaled, along);
}
