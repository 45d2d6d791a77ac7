/** Roots of monotone functions over many orders of magnitude. */

/**
 * The root in (0, infinity) of a falling `f`, by bisection in the logarithm: the bracket doubles its exponent until it
 * holds the sign change, then halves to the last bit. Raises RangeError where no sign change lies in [1e-300, 1e300].
 */
export function fallingRoot(f: (x: number) => number): number {
  let [low, high] = [-1, 1];
  while (f(10 ** low) < 0 && low > -300) {
    low = Math.max(-300, low * 2);
  }
  while (f(10 ** high) > 0 && high < 300) {
    high = Math.min(300, high * 2);
  }
  if (f(10 ** low) < 0 || f(10 ** high) > 0) {
    throw new RangeError('no root between 1e-300 and 1e300');
  }
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) {
      break;
    }
    if (f(10 ** middle) > 0) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return 10 ** ((low + high) / 2);
}
