import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { type Client, newClient, problemOf } from '../support/client.ts';

const json = { 'content-type': 'application/json' };
const post = (client: Client, path: string, body: string): Promise<Response> =>
  client.call('POST', `/v1/fairness/${path}`, { body, headers: json });

/** A lookahead predictor whose feature and status have these names. */
const named = (feature: string, status: string): string => `{"kind":"lookahead","eta":1,
  "attribute":{"name":"a","labels":["no","yes"]},
  "scm":{"values":[0,1],"status":${JSON.stringify(status)},"variables":[
    {"name":${JSON.stringify(feature)},"effects":1},
    {"name":${JSON.stringify(status)},"parents":{${JSON.stringify(feature)}:1},"scale":0}]}}`;

describe('the name __proto__, which maps lose without a word', () => {
  const plain = named('x', 'y');
  it.each([
    ['/scm/variables/1/parents/__proto__', plain.replace('"x":1', '"__proto__":1')],
    ['/free/__proto__', plain.replace('"eta":1', '"eta":1,"free":{"x":1,"__proto__":2}')],
    ['/scm/variables/0/name', plain.replace('"name":"x"', '"name":"__proto__"')],
    ['/attribute/name', plain.replace('"name":"a"', '"name":"__proto__"')],
  ])('is refused in predictors: %s', async (pointer, body) => {
    const client = await newClient();
    const problem = await problemOf(await post(client, 'predictors', body));
    expect(problem).toMatchObject({ status: 422, code: 'validation_failed', errors: [{ pointer }] });
    const { results } = await env.DB.prepare('SELECT id FROM published WHERE tenant = ?').bind(client.tenant).all();
    expect(results).toHaveLength(0);
  });

  it('is refused in audits, tables and jobs', async () => {
    const client = await newClient();
    const created = await post(client, 'predictors', plain);
    const { id } = (await created.json()) as { id: string };
    const cases: [string, string, string][] = [
      ['fairness/audits', '/groups/__proto__', '{"predictions":[1,2],"groups":{"g":["a","b"],"__proto__":["c","d"]}}'],
      [
        `fairness/predictors/${id}/predictions`,
        '/columns/__proto__',
        '{"columns":{"x":[1],"a":["no"],"__proto__":[1]}}',
      ],
      [
        'jobs',
        '/params/table/columns/__proto__',
        '{"type":"fairness.audit","params":{"table":{"columns":{"p":[1],"__proto__":[1]}},"prediction":"p","groups":["g"]}}',
      ],
      [
        'jobs',
        '/params/groups/0',
        '{"type":"fairness.audit","params":{"table":{"columns":{"p":[1],"g":[1]}},"prediction":"p","groups":["__proto__"]}}',
      ],
    ];
    for (const [path, pointer, body] of cases) {
      const headers = { ...json, 'idempotency-key': crypto.randomUUID() };
      const problem = await problemOf(await client.call('POST', `/v1/${path}`, { body, headers }));
      expect(problem).toMatchObject({ status: 422, code: 'validation_failed', errors: [{ pointer }] });
    }
  });
});

describe('names that every object inherits', () => {
  it.each([
    ['constructor', 'y'],
    ['x', 'constructor'],
    ['toString', 'valueOf'],
    ['hasOwnProperty', 'prototype'],
    ["'; DROP TABLE published; --", '<script>alert(1)</script>'],
  ])('are names like any other: %s, %s', async (feature, status) => {
    const client = await newClient();
    const created = await post(client, 'predictors', named(feature, status));
    expect(created.status, await created.clone().text()).toBe(201);
    const { id } = (await created.json()) as { id: string };
    const body = JSON.stringify({ columns: { [feature]: [3], a: ['yes'] } });
    const answer = await post(client, `predictors/${id}/predictions`, body);
    // T = 1, p1 = 1/2, Yc = 3 - 1.
    expect(await answer.json()).toMatchObject({ scores: [2], present_gap: [1], future_gap: [0] });
  });
});
