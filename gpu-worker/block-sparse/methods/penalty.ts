/** When a penalty acts: its coefficient in each step, when dead tiles become final, and the last steps without a penalty. */
import * as g from '../../graph/index.ts';

export type PenaltyPlan = {
  /** Coefficient at the beginning. */
  lambda: number;
  /** Coefficient at the end as a multiple of that at the beginning; between them it rises in a straight line. */
  ramp: number;
  /** Steps with a penalty. */
  steps: number;
  /** Step from which tiles that are zero stay zero. */
  freezeFrom: number;
};

export const LAMBDA = 'penalty';
const FROZEN = 'frozen';

/** The coefficient of this step and, 0 or 1, whether dead tiles are final. After the last penalised step they always are. */
export function penaltyScalars({ lambda, ramp, steps, freezeFrom }: PenaltyPlan, step: number): Record<string, number> {
  if (step > steps) {
    return { [LAMBDA]: 0, [FROZEN]: 1 };
  }
  const share = steps > 1 ? (step - 1) / (steps - 1) : 0;
  return { [LAMBDA]: lambda * (1 + (ramp - 1) * share), [FROZEN]: Number(step >= freezeFrom) };
}

/** The inputs that those scalars are fed to. */
export const penaltyInputs = () => ({ lambda: g.input(LAMBDA, []), frozen: g.input(FROZEN, []) });

/** 1 where `alive` holds or dead tiles are not final yet, else 0. */
export const keptTiles = (alive: g.Tensor, frozen: g.Tensor): g.Tensor =>
  g.maximum(g.indicator(alive), g.sub(1, frozen));
