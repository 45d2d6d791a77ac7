import { describe, expect, it } from 'vitest';
import { newClient, problemOf } from '../support/client.ts';

/** The value that a JSON pointer (RFC 6901) names; throws where there is none. */
function at(document: unknown, pointer: string): unknown {
  let value = document;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) {
      throw new Error(`${pointer} names nothing: there is no ${name}`);
    }
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

const rows = Array.from({ length: 40 }, (_, i) => [Math.sin(i), Math.cos(i * i)]);
const groups = rows.map((_, i) => (i % 2 ? 'b' : 'a'));
const unit = [
  [1, 0],
  [0, 1],
];
const moments = [3, 0].map((x) => ({ count: 100, mean: [x, 1], covariance: unit }));
const flat = {
  count: 9,
  mean: [1, 1],
  covariance: [
    [0, 0],
    [0, 0],
  ],
};
/** Of two groups alone; a scalar head takes any number. */
const layerMean = (change: object) => ({ method: 'layer_mean', weights: [[1, 1]], data: { rows, groups }, ...change });
const scalar = (change: object) => ({ method: 'scalar_head', weights: [1, 1], data: { rows, groups }, ...change });
const layer = (change: object) => ({ method: 'layer', weights: unit, data: { moments }, ...change });
const retune = (change: object) => ({
  method: 'retune',
  kind: 'mean',
  vectors: unit,
  squares: [1, 2],
  costs: [1, 1],
  ratios: [1, 2],
  ...change,
});
const predictor = {
  kind: 'lookahead',
  attribute: { name: 'a', labels: ['no', 'yes'] },
  scm: {
    values: [0, 1],
    status: 'y',
    variables: [
      { name: 'x', effects: 1 },
      { name: 'y', parents: { x: 1 } },
    ],
  },
  eta: 1,
  rho: 1,
};
const model = (change: object) => ({ predictor: { ...predictor, scm: { ...predictor.scm, ...change } } });
const second = Array.from({ length: 4 }, (_, j) => Array.from({ length: 4 }, (_, k) => (j === k ? j + 1 : 0.1)));
const refit = (change: object) => ({
  method: 'lookahead_refit',
  predictor,
  moments: { count: 9, free: [], second },
  settings: [
    { eta: 1, rho: 1 },
    { eta: 2, rho: 0.5 },
  ],
  ...change,
});
const barycentre = (change: object) => ({ method: 'barycentre', scores: rows.map(([x]) => x), groups, ...change });

const corrections: [string, string, object][] = [
  [
    'scm_cycle',
    '/predictor/scm/variables/0/parents',
    refit(model({ status: 'x', variables: [{ name: 'x', parents: { x: 1 } }] })),
  ],
  ['scm_invalid', '/predictor/scm/status', refit(model({ status: 'z' }))],
  ['scm_invalid', '/predictor/scm/values', refit(model({ values: [1, 1] }))],
  [
    'scm_invalid',
    '/predictor/scm/variables/0/effects',
    refit(model({ variables: [{ name: 'x', effects: [1] }, { name: 'y' }] })),
  ],
  [
    'response_invalid',
    '/predictor/scm',
    refit(
      model({
        variables: [
          { name: 'x', scale: 0 },
          { name: 'y', scale: 0 },
        ],
      }),
    ),
  ],
  [
    'scm_invalid',
    '/predictor/attribute/labels',
    refit({ predictor: { ...predictor, attribute: { name: 'a', labels: ['1', '2', '3'] } } }),
  ],
  [
    'response_invalid',
    '/predictor/outer/slopes/1',
    refit({ predictor: { ...predictor, status_observed: true, outer: { kind: 'knots', at: [0, 1], slopes: [1, 0] } } }),
  ],
  ['scm_invalid', '/predictor/path/fair/0', refit({ predictor: { ...predictor, path: { fair: ['q'] } } })],
  [
    'response_invalid',
    '/settings/1/eta',
    refit({
      settings: [
        { eta: 1, rho: 1 },
        { eta: -1, rho: 1 },
      ],
    }),
  ],
  ['response_invalid', '/settings/0/rho', refit({ settings: [{ eta: 1, rho: 3 }] })],
  ['weights_misfit', '/moments/second', refit({ moments: { count: 9, free: ['x'], second } })],
  ['weights_misfit', '/moments/second/2', refit({ moments: { count: 9, free: [], second: [[1, 1], [1, 1], [1]] } })],
  [
    'weights_misfit',
    '/moments/free/1',
    refit({
      moments: {
        count: 9,
        free: ['x', 'y'],
        second: Array.from({ length: 6 }, (_, j) => Array.from({ length: 6 }, (_, k) => Number(j === k))),
      },
    }),
  ],
  [
    'weights_misfit',
    '/moments/second/0/0',
    refit({ moments: { count: 9, free: [], second: second.map((r) => r.map((x) => 2 * x)) } }),
  ],
  [
    'weights_misfit',
    '/moments/second/3/1',
    refit({
      moments: { count: 9, free: [], second: second.map((r, j) => r.map((x, k) => (j === 3 && k === 1 ? 5 : x))) },
    }),
  ],
  [
    'value_out_of_range',
    '/weights',
    layer({
      weights: [
        [1e200, 0],
        [0, 1],
      ],
    }),
  ],
  [
    'value_out_of_range',
    '',
    {
      method: 'gaussian_barycentre',
      groups: [
        { share: 1, mean: 0, deviation: 1 },
        { share: 1, mean: 1e200, deviation: 1 },
      ],
    },
  ],
  ['value_out_of_range', '/squares', retune({ squares: [1e308, 1e308] })],
  ['budget_invalid', '/ratios/0', retune({ ratios: [1e308], squares: [1, 1e-300], costs: [1, 1] })],
  [
    'value_out_of_range',
    '/weights',
    layer({
      covariance_at: 'pre_activation',
      weights: [
        [1e160, 0],
        [0, 1e160],
      ],
    }),
  ],
  [
    'value_out_of_range',
    '/weights',
    layer({
      covariance_at: 'pre_activation',
      weights: [
        [1e160, 0],
        [0, 1],
      ],
      data: { moments: [...moments, moments[0]] },
    }),
  ],
  [
    'response_invalid',
    '/predictor/curve/exponent',
    refit({ predictor: { ...predictor, status_observed: true, curve: { scale: 1, exponent: 0.4 }, lowest: 1 } }),
  ],
  ['prediction_constant', '/scores', barycentre({ scores: rows.map(() => 2) })],
  ['response_invalid', '/settings/0/eta', refit({ settings: [{ eta: 1e-320, rho: 1 }] })],
  ['budget_invalid', '/ratios/1', retune({ ratios: [1, 0.5] })],
  ['weights_misfit', '/vectors/1', retune({ vectors: [[1, 0], [1]] })],
  ['weights_misfit', '/costs/1', retune({ costs: [1, -1] })],
  ['group_unknown', '/data/groups/3', scalar({ data: { rows, groups: groups.map((g, i) => (i === 3 ? '' : g)) } })],
  ['group_count', '/data/groups', scalar({ data: { rows, groups: groups.map(() => 'a') } })],
  ['group_count', '/data/groups', layerMean({ data: { rows, groups: groups.map((_, i) => i % 3) } })],
  ['group_count', '/data/moments', layerMean({ data: { moments: [...moments, ...moments] } })],
  ['group_too_small', '/data/groups', scalar({ data: { rows, groups: groups.map((_, i) => i < 3) } })],
  ['group_too_small', '/data/groups', layer({ data: { rows, groups: groups.map((_, i) => i < 3) } })],
  ['matrix_singular', '/data/moments', scalar({ data: { moments: [flat, { ...flat, mean: [0, 1] }] } })],
  [
    'matrix_singular',
    '/data/groups',
    { ...layer({ data: { rows: rows.map(([x]) => [x, x]), groups } }), method: 'layer_mean', tau: 0, c1: undefined },
  ],
  [
    'value_out_of_range',
    '/data/moments/1/covariance/0/1',
    layer({
      data: {
        moments: [
          moments[0],
          {
            ...moments[1],
            covariance: [
              [1, 0.5],
              [0, 1],
            ],
          },
        ],
      },
    }),
  ],
  [
    'value_out_of_range',
    '/data/moments/0/covariance/1/1',
    layer({
      data: {
        moments: [
          {
            ...moments[0],
            covariance: [
              [1, 0],
              [0, -1],
            ],
          },
          moments[1],
        ],
      },
    }),
  ],
  [
    'value_out_of_range',
    '/data/moments/0/covariance/0/1',
    layer({
      data: {
        moments: [
          {
            ...moments[0],
            covariance: [
              [1, 2],
              [2, 1],
            ],
          },
          moments[1],
        ],
      },
    }),
  ],
  ['budget_invalid', '/tau', scalar({ tau: 2 })],
  ['budget_invalid', '/c2', layer({ c2: 0 })],
  ['weights_misfit', '/weights/1', layer({ weights: [[1, 0], [1]] })],
  ['group_count', '/groups', barycentre({ groups: groups.map(() => 'a') })],
  ['group_too_small', '/groups', barycentre({ groups: groups.map((_, i) => i < 3) })],
  ['group_unknown', '/groups/5', barycentre({ groups: groups.map((g, i) => (i === 5 ? '' : g)) })],
  ['group_unknown', '/apply/groups/1', barycentre({ apply: { scores: [1, 2], groups: ['a', 'c'] } })],
  ['length_mismatch', '/apply/groups', barycentre({ apply: { scores: [1, 2], groups: ['a'] } })],
];

const scores = rows.map(([x]) => x!);
const audit = (change: object) => ({
  predictions: scores,
  labels: scores,
  groups: { g: groups },
  minimum_group: 5,
  draws: 10,
  permutations: 10,
  ...change,
});
const futures = { present: scores, present_counterfactual: scores, future: scores, future_counterfactual: scores };
const audits: [string, string, object][] = [
  ['length_mismatch', '/routing/heads/1', audit({ routing: { routed: scores.map(() => 0), heads: [scores, [1]] } })],
  ['length_mismatch', '/routing/routed', audit({ routing: { routed: [0], heads: [scores, scores] } })],
  [
    'group_unknown',
    '/routing/routed/2',
    audit({ routing: { routed: scores.map((_, i) => (i === 2 ? 0.5 : 0)), heads: [scores, scores, scores] } }),
  ],
  ['length_mismatch', '/futures/future_counterfactual', audit({ futures: { ...futures, future_counterfactual: [1] } })],
  ['length_mismatch', '/counterfactual_predictions', audit({ counterfactual_predictions: [1] })],
  ['group_too_small', '/groups', audit({ groups: { g: groups, h: groups.map((_, i) => i % 9) }, minimum_group: 4 })],
  ['group_too_small', '/groups/h', audit({ groups: { h: groups.map((_, i) => i < 3) } })],
  ['group_unknown', '/groups/g/7', audit({ groups: { g: groups.map((g, i) => (i === 7 ? '' : g)) } })],
];

describe('errors of fairness requests', () => {
  it.each([...corrections.map((c) => ['corrections', ...c] as const), ...audits.map((c) => ['audits', ...c] as const)])(
    'point at the value in the document that was sent: %s %s %s',
    async (path, code, pointer, body) => {
      const client = await newClient();
      const problem = await problemOf(await client.call('POST', `/v1/fairness/${path}`, { body }));
      expect(problem).toMatchObject({ status: 422, code: 'data_invalid', errors: [{ code, pointer }] });
      at(body, pointer);
    },
  );

  it('are told a hundred at a time, however many cells are wrong', async () => {
    const client = await newClient();
    const none = new Array(123_000).fill(null);
    const body = { predictions: none, labels: none, groups: { g: none } };
    const problem = await problemOf(await client.call('POST', '/v1/fairness/audits', { body }));
    expect(problem).toMatchObject({ status: 422, code: 'validation_failed' });
    expect(problem.errors).toHaveLength(100);
    expect(problem.errors![0]).toMatchObject({ pointer: '/predictions/0' });
  });

  it('are of a job too, before it exists: a model with a cycle', async () => {
    const client = await newClient();
    const model = { coefficients: { values: [0, 1], status: 'y', variables: [{ name: 'y', parents: { y: 1 } }] } };
    const params = {
      table: { columns: { a: ['no', 'yes'], y: [1, 2] } },
      attribute: { column: 'a', labels: ['no', 'yes'] },
      status: 'y',
      model,
    };
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const body = { type: 'fairness.fit_lookahead', params };
    const problem = await problemOf(await client.call('POST', '/v1/jobs', { body, headers }));
    const pointer = '/params/model/coefficients/variables/0/parents';
    expect(problem).toMatchObject({ status: 422, code: 'validation_failed', errors: [{ code: 'scm_cycle', pointer }] });
    at(body, pointer);
    const listed = (await (await client.call('GET', '/v1/jobs')).json()) as { data: unknown[] };
    expect(listed.data).toHaveLength(0);
  });
});
