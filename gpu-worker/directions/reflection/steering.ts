/**
 * Ways to steer along a direction v with unit u: as formulas on states, and as interventions of a model. `proj_unit` scales
 * the component along v by 1 + alpha, `proj_raw` by 1 + alpha |v|^2, `add` shifts by alpha v.
 */
import { dot, norm } from '../vectors.ts';

const STEERING_MODES = ['proj_unit', 'proj_raw', 'add'] as const;
export type SteeringMode = (typeof STEERING_MODES)[number];

type SteeringSettings = {
  mode: SteeringMode;
  alpha: number;
  /** Raw vector. */
  vector: ArrayLike<number>;
  /** Projections are taken from here on, such as the mean of the states that do not reflect; none where null. */
  centre: ArrayLike<number> | null;
};

/** By how much the component along the unit vector is multiplied, and what is added along it afterwards. */
function coefficients({ mode, alpha, vector, centre }: SteeringSettings): { factor: number; shift: number } {
  const size = norm(vector);
  if (mode === 'add') {
    return { factor: 1, shift: alpha * size };
  }
  const strength = mode === 'proj_unit' ? alpha : alpha * size ** 2;
  const along = centre ? dot(centre, vector) / size : 0;
  return { factor: 1 + strength, shift: -strength * along };
}

/** States [n, width] as steering leaves them. */
export function steered(states: ArrayLike<number>, settings: SteeringSettings): Float64Array {
  const width = settings.vector.length;
  const { factor, shift } = coefficients(settings);
  const size = norm(settings.vector);
  const unit = Float64Array.from(settings.vector, (value) => value / size);
  const out = Float64Array.from(states);
  for (let from = 0; from < out.length; from += width) {
    const change = (factor - 1) * dot(out.subarray(from, from + width), unit) + shift;
    for (let i = 0; i < width; i++) {
      out[from + i]! += change * unit[i]!;
    }
  }
  return out;
}
