/**
 * Ways to steer along a direction v with unit u: as formulas on states, and as interventions of a model. `proj_unit` scales
 * the component along v by 1 + alpha, `proj_raw` by 1 + alpha |v|^2, `add` shifts by alpha v.
 */
import type { SteeringMode } from '../../../shared/contracts/vector.ts';
import type { GenerationIntervention } from '../../lm/index.ts';
import { dot, norm } from '../vectors.ts';

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

const unitOf = (vector: ArrayLike<number>): Float32Array => {
  const size = norm(vector);
  return Float32Array.from(vector, (value) => value / size);
};

/** The same at a hook of a model; strength 0 is no intervention. */
export function steeringEdits(
  hook: string,
  settings: SteeringSettings,
  during: 'all' | 'generated' = 'all',
): GenerationIntervention[] {
  const { factor, shift } = coefficients(settings);
  const unit = unitOf(settings.vector);
  return [
    ...(factor === 1 ? [] : [{ kind: 'project' as const, hook, directions: unit, factor, during }]),
    ...(shift === 0 ? [] : [{ kind: 'add' as const, hook, vector: unit, strength: shift, during }]),
  ];
}
