/**
 * The uniform numbers of `numpy.random.seed(s)` (MT19937, Matsumoto and Nishimura 1998; 53-bit doubles), so that published
 * synthetic models drawn with it can be rebuilt exactly.
 */
export function numpyUniform(seed: number): (n: number) => Float64Array {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const previous = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = Math.imul(previous, 1812433253) + i;
  }
  let at = 624;
  const word = (): number => {
    if (at === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (state[i]! & 0x80000000) | (state[(i + 1) % 624]! & 0x7fffffff);
        state[i] = state[(i + 397) % 624]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
  return (n) => Float64Array.from({ length: n }, () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992);
}
