/** Descents of a fixed number of steps, judged: one that left the numbers fails its job rather than being published. */
import { SextantError } from '../../shared/contracts/problem.ts';

/** Raises `not_converged`, saying what to change, unless every parameter is a number; `what` begins the sentence. */
export function requireFinite(parameters: ArrayLike<number>, what: string): void {
  for (let i = 0; i < parameters.length; i++) {
    if (!Number.isFinite(parameters[i])) {
      throw new SextantError(
        'not_converged',
        `${what} diverged: parameter ${i} is ${parameters[i]}; leave out columns with extreme values`,
      );
    }
  }
}
