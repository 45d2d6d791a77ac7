/** Logistic regressions, judged: one that did not arrive fails its job rather than being published. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { SingularMatrixError } from '../../shared/math/cholesky.ts';
import { logisticRegression } from '../../shared/math/logistic.ts';

/** Largest slope of the mean loss at which a fit counts as arrived: Newton's method ends near 1e-9. */
const MOST_SLOPE = 1e-4;

const notConverged = (why: string): SextantError =>
  new SextantError(
    'not_converged',
    `a logistic regression ${why}; leave out columns or rows with extreme values, or raise l2 where it can be set`,
  );

/**
 * Coefficients (d + 1, the intercept last) as `logisticRegression` finds them, of all rows or of those at `rows`. Raises
 * `not_converged`, saying what to change.
 */
export function convergedLogistic(
  { x, y, d }: { x: Float64Array; y: ArrayLike<number>; d: number },
  options: { l2?: number; rows?: ArrayLike<number> } = {},
): Float64Array {
  try {
    return logisticRegression(x, y, d, {
      ...options,
      judge(slope) {
        if (!(slope <= MOST_SLOPE)) {
          throw notConverged(`ended with a slope of ${slope.toExponential(1)}, above ${MOST_SLOPE}`);
        }
      },
    });
  } catch (error) {
    throw error instanceof SingularMatrixError ? notConverged('met curvatures that no step can be told from') : error;
  }
}
