/** The published synthetic model: every parameter Uniform(0, 1) after numpy seed 42, ten features, values 0/1 or 1/2. */
import type { LinearScm } from '../../shared/fairness/lookahead/scm.ts';
import { numpyUniform } from './numpy-random.ts';

export type ReferenceModel = { alpha: Float64Array; beta: Float64Array; w: Float64Array; gamma: number };

export function referenceModel(d = 10): ReferenceModel & { uniform: (n: number) => Float64Array } {
  const uniform = numpyUniform(42);
  const [alpha, beta, w] = [uniform(d), uniform(d), uniform(d)];
  return { alpha, beta, w, gamma: uniform(1)[0]!, uniform };
}

/** Slopes of the status in (U_X, U_Y) of the linear model, and its gap per unit of the attribute. */
export const linearSlopes = ({ alpha, w, gamma }: ReferenceModel): Float64Array =>
  Float64Array.from([...w.map((x, i) => x * alpha[i]!), gamma]);
export const linearGap = ({ beta, w }: ReferenceModel): number => w.reduce((sum, x, i) => sum + x * beta[i]!, 0);

/** The linear model as a graph: X_i = beta_i A + alpha_i U_i, Y = w . X + gamma U_Y + direct A. */
export const asScm = (
  { alpha, beta, w, gamma }: ReferenceModel,
  values: readonly number[] = [0, 1],
  direct = 0,
): LinearScm => ({
  values,
  status: 'y',
  variables: [
    // The status comes first on purpose: the order of the list must not matter.
    {
      name: 'y',
      intercept: 0,
      parents: Object.fromEntries(Array.from(w, (x, i) => [`x${i}`, x])),
      effects: values.map((a) => direct * a),
      scale: gamma,
    },
    ...Array.from(alpha, (scale, i) => ({
      name: `x${i}`,
      intercept: 0,
      parents: {},
      effects: values.map((a) => beta[i]! * a),
      scale,
    })),
  ],
});
