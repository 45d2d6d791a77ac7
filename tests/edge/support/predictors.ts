/** Small predictors that tests register, as documents. */

/** Reads x and c; two demographics, pooled scores 0. */
export const gated = {
  kind: 'gated',
  inputs: [
    { kind: 'number', name: 'x' },
    { kind: 'category', name: 'c', levels: ['a', 'b'] },
  ],
  gate: [
    [1, 0, 0, 0],
    [-1, 0, 0, 0],
  ],
  heads: [
    [0, 2, -2, 0],
    [0, -2, 2, 0],
  ],
  pooled: [0, 0, 0, 0],
};

/** Reads the attribute a; y = x, which people move by the score. */
export const lookahead = {
  kind: 'lookahead',
  attribute: { name: 'a', labels: ['no', 'yes'] },
  scm: {
    values: [0, 1],
    status: 'y',
    variables: [
      { name: 'x', effects: 1 },
      { name: 'y', parents: { x: 1 }, scale: 0 },
    ],
  },
  eta: 1,
  rho: 1,
};
