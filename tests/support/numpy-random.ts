/**
 * The random numbers of `numpy.random.seed(s)` (MT19937, Matsumoto and Nishimura 1998), so that published synthetic models
 * and splits drawn with it can be rebuilt exactly.
 */
function words(seed: number): () => number {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const previous = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = Math.imul(previous, 1812433253) + i;
  }
  let at = 624;
  return () => {
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
}

/** `random.uniform(size=n)`, again and again: 53-bit doubles. */
export function numpyUniform(seed: number): (n: number) => Float64Array {
  const word = words(seed);
  return (n) => Float64Array.from({ length: n }, () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992);
}

/** A number of 0 to `most` by masked rejection. */
function upTo(most: number, word: () => number): number {
  const mask = 2 ** (32 - Math.clz32(most)) - 1;
  let value = word() & mask;
  while (value > most) {
    value = word() & mask;
  }
  return value;
}

/** `random.randint(low, high, size=n)`, again and again. */
export function numpyIntegers(seed: number): (low: number, high: number, n: number) => number[] {
  const word = words(seed);
  return (low, high, n) => Array.from({ length: n }, () => low + upTo(high - low - 1, word));
}

/** `RandomState(seed).permutation(n)`: swaps from the end. */
export function numpyPermutation(seed: number, n: number): Uint32Array {
  const word = words(seed);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = upTo(i, word);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** scikit-learn's `train_test_split(rows, test_size=tests, random_state=seed)`: [train, test]. */
export function sklearnSplit(rows: Uint32Array, tests: number, seed: number): [Uint32Array, Uint32Array] {
  const order = numpyPermutation(seed, rows.length).map((i) => rows[i]!);
  return [order.subarray(tests), order.subarray(0, tests)];
}
