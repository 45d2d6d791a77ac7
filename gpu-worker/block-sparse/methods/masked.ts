/** Dense layers of which only some tiles are trained: iterative pruning, and RigL by tiles (Evci et al. 2020). */

import { stream } from '../../../shared/math/random.ts';
import * as g from '../../graph/index.ts';
import type { Constraint } from '../../training/index.ts';
import type { Grid } from '../tiles/tiles.ts';
import { denseParts } from './dense.ts';
import { type LinearLayer, type MaskRule, type Method, weightName } from './method.ts';

type MaskedOptions = {
  /** Share of tiles that is zero at the end, 0 to 1. */
  sparsity: number;
  steps: number;
  gain: number;
  layers: readonly LinearLayer[];
};

const maskName = ({ name }: { name: string }): string => `${name}.mask`;
const kept = (grid: Grid, sparsity: number): number => Math.max(1, Math.round((1 - sparsity) * grid.p * grid.q));

/** Weight, gradient and the optimiser's state are zero outside the mask, so that a tile begins from nothing when it grows. */
function maskConstraints(layers: readonly LinearLayer[]): Constraint[] {
  return layers.map((layer) => {
    const { p, q, m, n } = layer.grid;
    const mask = g.reshape(g.input(maskName(layer), [p, q]), [p, 1, q, 1]);
    const masked = (x: g.Tensor) => g.reshape(g.mul(g.reshape(x, [p, m, q, n]), mask), x.shape);
    return {
      name: 'mask',
      applies: (name) => name === weightName(layer.name),
      gradient: masked,
      parameter: masked,
      slot: masked,
    };
  });
}

const masked = (name: string, { gain, layers }: MaskedOptions, masks: MaskRule): Method => ({
  name,
  ...denseParts(gain),
  constraints: maskConstraints(layers),
  groups: [],
  scalars: () => ({}),
  masks,
});

/** Positions of the `count` largest values among those that `eligible` admits; the first of equal ones wins. */
function largest(values: ArrayLike<number>, count: number, eligible: (i: number) => boolean): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .filter(eligible)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, count);
}
const maskOf = (size: number, live: readonly number[]): Float32Array => {
  const mask = new Float32Array(size);
  for (const i of live) {
    mask[i] = 1;
  }
  return mask;
};

/** Share of the steps over which pruning goes on, and RigL exchanges tiles. */
const [WINDOW_BEGIN, WINDOW_END] = [0.1, 0.75];
const UPDATES = 20;

/**
 * The tiles of smallest norm are dropped for good, so many that the share of zeros follows the cubic schedule
 * s (1 - (1 - t)^3) (Zhu and Gupta 2017) between a tenth and three quarters of the steps.
 */
export function pruningMethod(options: MaskedOptions): Method {
  const { sparsity, steps } = options;
  return masked('pruning', options, {
    every: Math.max(1, Math.floor(steps / (2 * UPDATES))),
    input: maskName,
    start: ({ grid }) => new Float32Array(grid.p * grid.q).fill(1),
    gradientNorms: false,
    next({ layer: { grid }, step, mask, weights }) {
      const t = Math.min(Math.max((step / steps - WINDOW_BEGIN) / (WINDOW_END - WINDOW_BEGIN), 0), 1);
      const live = kept(grid, sparsity * (1 - (1 - t) ** 3));
      return maskOf(
        mask.length,
        largest(weights, live, (i) => mask[i] === 1),
      );
    },
  });
}

/** Share of live tiles that the first exchange drops; it falls to 0 by half a cosine. */
const FIRST_DROP = 0.3;

/**
 * A fixed number of live tiles, random at first. At every update those of smallest norm are dropped, and as many grow among
 * the tiles that were dead, where the dense gradient is largest; they start at zero.
 */
export function rigLMethod(options: MaskedOptions & { seed: number }): Method {
  const { sparsity, steps, seed } = options;
  return masked('rigl', options, {
    every: Math.max(1, Math.floor((WINDOW_END * steps) / UPDATES)),
    input: maskName,
    start({ name, grid }) {
      const size = grid.p * grid.q;
      return maskOf(size, [...stream(seed, `live tiles ${name}`).subset(size, kept(grid, sparsity))]);
    },
    gradientNorms: true,
    next({ step, mask, weights, gradients }) {
      const t = step / (WINDOW_END * steps);
      if (t >= 1 || !gradients) {
        return mask;
      }
      const live = largest(weights, mask.length, (i) => mask[i] === 1);
      const share = 0.5 * FIRST_DROP * (1 + Math.cos(Math.PI * t));
      const moved = Math.min(Math.floor(share * live.length), mask.length - live.length);
      const grown = largest(gradients, moved, (i) => mask[i] === 0);
      return maskOf(mask.length, [...live.slice(0, live.length - moved), ...grown]);
    },
  });
}
