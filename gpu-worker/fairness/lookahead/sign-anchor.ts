/** Which child tells the sign of the latent variable. */
import { leastSquares } from '../../../shared/math/least-squares.ts';
import type { LatentData } from './latent-posterior.ts';

/**
 * The child whose weight is kept positive: K and all weights can change sign together, and a weight near 0 says nothing of
 * which sign they have. With one latent variable the correlation of two children, the attributes apart, is the product of
 * their loadings: one of the two that correlate most is never near 0.
 */
export function signAnchor({ children, attributes, p, n }: LatentData): number {
  const rests = children.map(({ values }) => {
    const { intercept, coefficients } = leastSquares(attributes, values, p, { ridge: 1e-9 });
    const rest = values.map((value, i) => {
      let fitted = intercept;
      for (let j = 0; j < p; j++) {
        fitted += coefficients[j]! * attributes[i * p + j]!;
      }
      return value - fitted;
    });
    const length = Math.sqrt(rest.reduce((sum, x) => sum + x * x, 0)) || 1;
    return rest.map((x) => x / length);
  });
  // all correlations of a child: of the two that correlate most, the one that the others know better
  let [anchor, most] = [0, -1];
  for (const [c, rest] of rests.entries()) {
    let [own, all] = [0, 0];
    for (const [other, values] of rests.entries()) {
      if (other !== c) {
        let correlation = 0;
        for (let i = 0; i < n; i++) {
          correlation += rest[i]! * values[i]!;
        }
        own = Math.max(own, Math.abs(correlation));
        all += correlation ** 2;
      }
    }
    if (own + 1e-3 * all > most) {
      [anchor, most] = [c, own + 1e-3 * all];
    }
  }
  return anchor;
}
