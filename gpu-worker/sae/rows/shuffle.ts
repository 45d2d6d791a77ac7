/** Permutations of any size that take no memory: the number at each place is computed. */
import type { RandomStream } from '../../../shared/math/random.ts';

const ROUNDS = 8;

/** Mixes 32 bits so that each depends on all (the finaliser of MurmurHash3). */
function mixed(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * A permutation of 0 .. n-1 as a function, by a Feistel network on the smallest even number of bits that holds n, walked on
 * until it comes back below n (Black & Rogaway 2002).
 * @param n at most 2^32
 */
export function permutation(n: number, random: RandomStream): (place: number) => number {
  const half = Math.max(1, Math.ceil(Math.log2(Math.max(2, n)) / 2));
  const [size, mask] = [2 ** half, 2 ** half - 1];
  const keys = random.words(ROUNDS);
  const step = (place: number): number => {
    let [left, right] = [Math.floor(place / size), place & mask];
    for (const key of keys) {
      [left, right] = [right, left ^ (mixed((right ^ key) | 0) & mask)];
    }
    return left * size + right;
  };
  return (place) => {
    let at = step(place);
    while (at >= n) {
      at = step(at);
    }
    return at;
  };
}
