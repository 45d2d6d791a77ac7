/** Requests with a few values replaced: whatever comes of it is an answer that JSON can say, or an error with a code. */
import { describe, expect, it } from 'vitest';
import { correct } from '../../../shared/fairness/corrections/correct.ts';
import { correctionSchema } from '../../../shared/fairness/corrections/document.ts';
import { compilePredictor } from '../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../shared/fairness/predictors/document.ts';
import { tableFromColumns } from '../../../shared/formats/json-table.ts';
import { stream } from '../../../shared/math/random.ts';

const SEED = 41;
const TRIALS = 4000;
const NASTY: unknown[] = [0, -1, 1, 0.5, 1e308, -1e308, 1e-320, 1e160, 2 ** 53, null, '', [], {}, true, 'y', -0];

const unit = [
  [1, 0.1],
  [0.1, 1],
];
const moments = [
  { count: 100, mean: [3, 1], covariance: unit },
  { count: 50, mean: [0, 1], covariance: unit },
];
const rows = Array.from({ length: 12 }, (_, i) => [Math.sin(i), Math.cos(i * i)]);
const groups = rows.map((_, i) => (i % 2 ? 'b' : 'a'));
const lookahead = {
  kind: 'lookahead',
  attribute: { name: 'g', labels: ['a', 'b'] },
  scm: {
    values: [0, 1],
    status: 'y',
    variables: [
      { name: 'x', effects: [0, 1] },
      { name: 'y', parents: { x: 1 } },
    ],
  },
  eta: 1,
  rho: 1,
  free: { x: 0.3 },
  status_observed: true,
};
const second = Array.from({ length: 5 }, (_, j) => Array.from({ length: 5 }, (_, k) => (j === k ? 1 : 0.1)));
const corrections = [
  { method: 'scalar_head', weights: [1, 1], tau: 0.3, ridge: 1e-6, data: { rows, groups } },
  {
    method: 'layer',
    weights: [
      [1, 2],
      [3, 4],
      [0, 1],
    ],
    data: { moments },
  },
  { method: 'layer', weights: unit, covariance_at: 'pre_activation', data: { moments: [...moments, moments[0]] } },
  { method: 'layer_mean', weights: unit, data: { rows, groups } },
  { method: 'retune', kind: 'covariance', vectors: unit, squares: [1, 2], costs: [1, 0.5], ratios: [1, 20] },
  { method: 'barycentre', scores: rows.map(([x]) => x), groups, apply: { scores: [1, 2], groups: ['a', 'b'] } },
  {
    method: 'gaussian_barycentre',
    groups: [
      { share: 1, mean: 0, deviation: 1 },
      { share: 2, mean: 1, deviation: 2 },
    ],
  },
  {
    method: 'lookahead_refit',
    predictor: lookahead,
    moments: { count: 9, free: ['x'], second },
    settings: [{ eta: 1, rho: 1 }],
  },
];
const predictors = [
  lookahead,
  { ...lookahead, curve: { scale: 0.6, exponent: 0.7 }, lowest: 0.5 },
  { ...lookahead, outer: { kind: 'knots', at: [0, 1, 2], slopes: [0, 1, 3] } },
  {
    kind: 'lookahead_multiplicative',
    attribute: lookahead.attribute,
    values: [1, 2],
    features: [{ name: 'x', weight: 1, alpha: 1 }],
    status: { name: 'y' },
    eta: 1,
  },
  {
    kind: 'lookahead_latent',
    attribute: lookahead.attribute,
    children: [{ family: 'poisson', name: 'n', effects: [0, 0.1], weight: 0.3 }],
    status: { name: 'y', effects: [0, 0.5], weight: 1 },
    eta: 1,
  },
  {
    kind: 'network',
    inputs: [{ kind: 'number', name: 'x' }],
    layers: [
      { weights: [[1], [-1]], bias: [0, 0], activation: 'relu' },
      { weights: [[1, 1]], bias: [0.5], activation: 'logistic' },
    ],
  },
  {
    kind: 'gated',
    inputs: [{ kind: 'number', name: 'x' }],
    gate: [
      [1, 0],
      [-1, 0],
    ],
    heads: [
      [2, 0],
      [-2, 0],
    ],
    pooled: [0, 0],
  },
];
const table = tableFromColumns({ x: [1, 2, 0.5], y: [1.5, 2, 3], n: [1, 2, 3], g: ['a', 'b', 'a'] });

type Place = { parent: Record<string | number, unknown>; key: string | number };
const placesOf = (value: unknown): Place[] =>
  value === null || typeof value !== 'object'
    ? []
    : Object.keys(value).flatMap((key) => {
        const parent = value as Place['parent'];
        return [{ parent, key: Array.isArray(value) ? Number(key) : key }, ...placesOf(parent[key])];
      });
const finite = (value: unknown): boolean => {
  if (typeof value === 'number') {
    return Number.isFinite(value);
  }
  if (value === null || typeof value !== 'object') {
    return true;
  }
  return (ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : Object.values(value)).every(finite);
};

/** Up to three values of a copy replaced, repeated or left out. */
function damaged(document: unknown, trial: number): unknown {
  const copy = structuredClone(document);
  const u = stream(SEED, `damage ${trial}`).uniform(13);
  const places = placesOf(copy);
  for (let change = 0; change <= Math.floor(3 * u[0]!); change++) {
    const [where, how, what] = [1, 2, 3].map((k) => u[4 * change + k]!) as [number, number, number];
    const { parent, key } = places[Math.floor(where * places.length)]!;
    if (how < 0.7) {
      parent[key] = NASTY[Math.floor(what * NASTY.length)];
    } else if (!Array.isArray(parent)) {
      delete parent[key];
    } else if (how < 0.85) {
      parent.push(structuredClone(parent[key as number]));
    } else {
      parent.splice(key as number, 1);
    }
  }
  return copy;
}

function outcome(run: () => unknown): 'answered' | 'refused' {
  try {
    expect(finite(run())).toBe(true);
    return 'answered';
  } catch (error) {
    expect(error).toMatchObject({ code: 'data_invalid', errors: [{ pointer: expect.any(String) }] });
    return 'refused';
  }
}

describe('damaged requests', () => {
  it.each([
    ['corrections', corrections, correctionSchema, (parsed: never) => correct(parsed)],
    ['predictors', predictors, predictorDocumentSchema, (parsed: never) => compilePredictor(parsed).predict(table)],
  ] as const)('are answered with finite numbers or refused with a code: %s', (_, documents, schema, run) => {
    const seen = { answered: 0, refused: 0 };
    for (let trial = 0; trial < TRIALS; trial++) {
      const document = damaged(documents[trial % documents.length], trial);
      const parsed = schema.safeParse(document);
      if (!parsed.success) {
        continue;
      }
      try {
        seen[outcome(() => run(parsed.data as never))] += 1;
      } catch (cause) {
        throw new Error(`seed ${SEED}, trial ${trial}: ${JSON.stringify(document).slice(0, 500)}`, { cause });
      }
    }
    expect(seen.answered, `seed ${SEED}`).toBeGreaterThan(200);
    expect(seen.refused, `seed ${SEED}`).toBeGreaterThan(200);
  });
});
