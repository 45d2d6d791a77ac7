import { env } from 'cloudflare:workers';
import { tableFromArrays, tableFromIPC, tableToIPC } from '@uwdata/flechette';
import { describe, expect, it } from 'vitest';
import { type Client, newClient, problemOf } from '../support/client.ts';
import { gated, lookahead } from '../support/predictors.ts';

const network = {
  kind: 'network',
  inputs: [{ kind: 'number', name: 'x', mean: 1, scale: 2, missing: 1 }],
  layers: [
    { weights: [[1], [-1]], bias: [0, 0], activation: 'relu' },
    { weights: [[1, 1]], bias: [0.5], activation: 'identity' },
  ],
};
const register = async (client: Client, body: unknown): Promise<string> => {
  const answer = await client.call('POST', '/v1/fairness/predictors', { body });
  expect(answer.status, await answer.clone().text()).toBe(201);
  const { id } = (await answer.json()) as { id: string };
  expect(answer.headers.get('location')).toBe(`/v1/fairness/predictors/${id}`);
  return id;
};
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
type Predictions = { scores: number[]; routed?: number[]; present_gap?: number[]; future_gap?: number[] };

describe('fair predictors', () => {
  it('are immutable, named by what they are, and their tenant’s own', async () => {
    const [mine, other] = [await newClient(), await newClient()];
    const id = await register(mine, gated);
    expect(await register(mine, { ...gated, link: 'logistic' })).toBe(id);
    expect(await register(mine, { ...gated, link: 'identity' })).not.toBe(id);
    const shown = await mine.call('GET', `/v1/fairness/predictors/${id}`);
    expect(((await shown.json()) as { body: { kind: string } }).body.kind).toBe('gated');
    expect((await problemOf(await other.call('GET', `/v1/fairness/predictors/${id}`))).code).toBe('not_found');
    const call = other.call('POST', `/v1/fairness/predictors/${id}/predictions`, {
      body: { columns: { x: [1], c: ['a'] } },
    });
    expect((await problemOf(await call)).code).toBe('not_found');
    const reader = await newClient({ scopes: ['vectors:read'] });
    const refused = await reader.call('POST', '/v1/fairness/predictors', { body: gated });
    expect((await problemOf(refused)).code).toBe('scope_missing');
  });

  it('predict from JSON, CSV and Arrow alike, and answer in each', async () => {
    const client = await newClient();
    const path = `/v1/fairness/predictors/${await register(client, gated)}/predictions`;
    const [x, c] = [
      [1, -1, 2],
      ['a', 'a', 'b'],
    ];
    const expected = [sigmoid(2), sigmoid(-2), sigmoid(-2)];
    const asJson = (await (await client.call('POST', path, { body: { columns: { x, c } } })).json()) as Predictions;
    asJson.scores.forEach((score, i) => {
      expect(score).toBeCloseTo(expected[i]!, 12);
    });
    expect(asJson.routed).toEqual([0, 1, 0]);
    const csv = await client.call('POST', `${path}?delimiter=%3B`, {
      body: 'c;x\na;1\na;-1\nb;2\n',
      headers: { 'content-type': 'text/csv', accept: 'text/csv' },
    });
    expect(csv.headers.get('content-type')).toContain('text/csv');
    expect((await csv.text()).split('\n')[0]).toBe('score,routed');
    // The options that a job's table has: no header, runs of blanks, a mark of its own for what is missing.
    const plain = await client.call('POST', `${path}?delimiter=blanks&names=c&names=x&missing=-99`, {
      body: '  a   1\na\t -1 \n b 2\n',
      headers: { 'content-type': 'text/csv' },
    });
    expect(((await plain.json()) as Predictions).scores).toEqual(asJson.scores);
    const marked = await client.call('POST', `${path}?names=c&names=x&missing=-99&trim=true`, {
      body: 'a,1\na, -99 \n',
      headers: { 'content-type': 'text/csv' },
    });
    expect(await problemOf(marked)).toMatchObject({ errors: [{ code: 'value_not_finite', pointer: '/columns/x/1' }] });
    const arrow = await client.call('POST', path, {
      body: tableToIPC(tableFromArrays({ x, c }), { format: 'stream' })!,
      headers: { 'content-type': 'application/vnd.apache.arrow.stream', accept: 'application/vnd.apache.arrow.stream' },
    });
    const columns = tableFromIPC(new Uint8Array(await arrow.arrayBuffer()));
    expect([...columns.getChild('score').toArray()]).toEqual(asJson.scores);
  });

  it('run edited networks, with a stand-in for missing cells, and lookahead predictors with their groups', async () => {
    const client = await newClient();
    const predictions = async (document: unknown, columns: Record<string, unknown[]>): Promise<Predictions> => {
      const path = `/v1/fairness/predictors/${await register(client, document)}/predictions`;
      return (await (await client.call('POST', path, { body: { columns } })).json()) as Predictions;
    };
    expect((await predictions(network, { x: [1, 3, null, -3] })).scores).toEqual([0.5, 1.5, 0.5, 2.5]);
    // T = 1, p1 = 1/2: a person of value 1 with x = 3 has Yc = 2, so a score of 2.
    const answer = await predictions(lookahead, { x: [3], a: ['yes'] });
    expect(answer).toMatchObject({ scores: [2], present_gap: [1], future_gap: [0] });
  });

  it('serve every structural model of a lookahead predictor, with the gap each person is left with', async () => {
    const client = await newClient();
    const common = { attribute: lookahead.attribute, eta: 1 };
    const scm = { values: [0, 1], status: 'y', variables: [{ name: 'y', effects: 1 }] };
    const serve = async (document: object, columns: Record<string, unknown[]>): Promise<Predictions> => {
      const path = `/v1/fairness/predictors/${await register(client, { ...common, ...document })}/predictions`;
      const answer = await client.call('POST', path, { body: { columns: { ...columns, a: ['yes'] } } });
      expect(answer.status, await answer.clone().text()).toBe(200);
      return (await answer.json()) as Predictions;
    };
    // X = a (U + beta), Y = X, T = 1 / (1 * 2): half the gap at rho = 1/2. Yc = 3, score T/4 * 9.
    const scaled = {
      kind: 'lookahead_multiplicative',
      values: [1, 2],
      features: [{ name: 'x', weight: 1, alpha: 1 }],
      status: { name: 'y' },
      rho: 0.5,
    };
    expect(await serve(scaled, { x: [6] })).toMatchObject({ scores: [9 / 8], present_gap: [3], future_gap: [1.5] });
    // The curvature of sqrt-like scores is stated at the least index; a person above it keeps more of the gap.
    const power = { kind: 'lookahead', scm, status_observed: true, outer: { kind: 'power', exponent: 1.5 }, lowest: 1 };
    const kept = 3 - 2 - (1.5 / 0.75) * (Math.sqrt(3) - Math.sqrt(2));
    expect((await serve(power, { y: [3] })).future_gap![0]).toBeCloseTo(kept, 12);
    const curve = { kind: 'lookahead', scm, status_observed: true, curve: { scale: 1, exponent: 2 / 3 }, lowest: 1 };
    const bent = await serve(curve, { y: [8 ** (2 / 3)] });
    expect(bent.present_gap![0]).toBeCloseTo(8 ** (2 / 3) - 7 ** (2 / 3), 9);
    expect(bent.future_gap![0]).toBeLessThan(bent.present_gap![0]!);
    // Two children of equal weight and noise: K has mean (1 + 1) / 3 after seeing 1 and 1; the status w K + 0.5 a.
    const child = { family: 'gaussian', effects: [0, 0], weight: 1, deviation: 1 };
    const latent = {
      kind: 'lookahead_latent',
      children: [
        { ...child, name: 'g' },
        { ...child, name: 'l' },
      ],
      status: { name: 'y', effects: [0, 0.5], weight: 1 },
      rho: 1,
    };
    const known = await serve(latent, { g: [1], l: [1] });
    expect(known.scores[0]).toBeCloseTo((1 / 2) * (4 / 9 + 1 / 3), 12);
    expect([known.present_gap, known.future_gap]).toEqual([[0.5], [0]]);
    const counted = { ...latent, children: [{ family: 'poisson', name: 'n', effects: [0, 0], weight: 1 }] };
    expect((await serve(counted, { n: [3] })).future_gap).toEqual([0]);
  });

  it.each([
    ['weights_misfit', { ...gated, gate: [[1, 0, 0]] }],
    ['weights_misfit', { ...network, layers: network.layers.slice(0, 1) }],
    ['response_invalid', { ...lookahead, eta: 0 }],
    ['response_invalid', { ...lookahead, rho: 7 }],
    ['scm_cycle', { ...lookahead, scm: { ...lookahead.scm, variables: [{ name: 'y', parents: { y: 1 } }] } }],
    ['scm_invalid', { ...lookahead, attribute: { name: 'a', labels: ['no', 'yes', 'maybe'] } }],
    ['response_invalid', { ...lookahead, curve: { scale: 1, exponent: 0.9 } }],
    ['response_invalid', { ...lookahead, outer: { kind: 'knots', at: [0, 1], slopes: [1, 0] } }],
  ])('are refused where they cannot work: %s', async (code, body) => {
    const client = await newClient();
    const problem = await problemOf(await client.call('POST', '/v1/fairness/predictors', { body }));
    expect(problem).toMatchObject({ status: 422, code: 'data_invalid', errors: [{ code }] });
    const { results } = await env.DB.prepare('SELECT id FROM published WHERE tenant = ?').bind(client.tenant).all();
    expect(results).toHaveLength(0);
  });

  it('too large to be registered name the jobs that publish them', async () => {
    const client = await newClient();
    const register = (body: unknown) => client.call('POST', '/v1/fairness/predictors', { body });
    const wide = Array.from({ length: 4000 }, (_, i) => ({ kind: 'number', name: `column ${i}`.padEnd(200, '.') }));
    const of = (inputs: unknown[]) => ({ ...gated, inputs, gate: [[0]], heads: [[0]], pooled: [0] });
    // by its size, before anything is known of it
    const huge = await problemOf(await register(of([...wide, ...wide])));
    expect(huge).toMatchObject({ status: 413, code: 'body_too_large' });
    for (const type of ['edit_layer (network)', 'fit_gated (gated)', 'fit_lookahead (lookahead)', 'predict runs it']) {
      expect(huge.detail).toContain(`fairness.${type}`);
    }
    // and as a document: so many numbers of so many digits
    const columns = 1000;
    const row = (k: number) => Array.from({ length: columns + 1 }, (_, j) => Number(`0.${1e15 + 64 * j + k}`));
    const rows = Array.from({ length: 24 }, (_, k) => row(k));
    const inputs = Array.from({ length: columns }, (_, i) => ({ kind: 'number', name: `x${i}`, mean: 0, scale: 1 }));
    const large = await problemOf(await register({ ...gated, inputs, gate: rows, heads: rows, pooled: row(99) }));
    expect(large).toMatchObject({ status: 413, code: 'body_too_large', job_type: 'fairness.fit_gated' });
  });

  it('refuse other content types and tables beyond what fits', async () => {
    const client = await newClient();
    const path = `/v1/fairness/predictors/${await register(client, gated)}/predictions`;
    const xml = await client.call('POST', path, { body: '<x/>', headers: { 'content-type': 'text/xml' } });
    expect((await problemOf(xml)).code).toBe('media_type_unsupported');
    const huge = await client.call('POST', path, {
      body: 'x,c\n'.concat('1.2345678,a\n'.repeat(800_000)),
      headers: { 'content-type': 'text/csv' },
    });
    expect(await problemOf(huge)).toMatchObject({ status: 413, code: 'body_too_large', job_type: 'fairness.predict' });
    const rows = 'x,c\n'.concat('1.2345678,a\n'.repeat(600_000));
    const large = await client.call('POST', path, { body: rows, headers: { 'content-type': 'text/csv' } });
    expect(await problemOf(large)).toMatchObject({
      status: 413,
      code: 'computation_too_large',
      job_type: 'fairness.predict',
    });
  });
});

describe('audits', () => {
  const n = 120;
  const predictions = Array.from({ length: n }, (_, i) => (i % 7) / 7 + (i % 2) * 0.3);
  const labels = predictions.map((p, i) => Number((p * 10 + i) % 3 > 1));
  const groups = { g: predictions.map((_, i) => (i % 2 ? 'odd' : 'even')) };
  const audit = async (body: unknown): Promise<Response> =>
    (await newClient()).call('POST', '/v1/fairness/audits', { body });

  it('measure gaps with intervals and every part that the columns allow', async () => {
    const heads = [predictions, predictions.map((p) => 1 - p), predictions.map(() => 0.4)];
    const answer = await audit({
      task: 'classification',
      predictions,
      labels,
      groups,
      draws: 50,
      permutations: 50,
      routing: { routed: predictions.map((_, i) => i % 2), heads },
      counterfactual_predictions: predictions.map((p) => p - 0.25),
      futures: {
        present: predictions,
        present_counterfactual: predictions.map((p) => p + 1),
        future: predictions,
        future_counterfactual: predictions.map((p) => p + 0.5),
      },
    });
    expect(answer.status, await answer.clone().text()).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const body = (await answer.json()) as {
      attributes: { overall: { metric: string; estimate: number; low: number; high: number }[] }[];
      preferences: { demographics: { mutual_information: number }[] };
      counterfactual_gap: { estimate: number };
      lookahead: { improvement: number };
    };
    const mean = body.attributes[0]!.overall.find((m) => m.metric === 'mean_gap')!;
    const side = (k: number): number => {
      const own = predictions.filter((_, i) => i % 2 === k);
      return own.reduce((sum, x) => sum + x, 0) / own.length;
    };
    expect(mean.estimate).toBeCloseTo(Math.abs(side(0) - side(1)), 9);
    expect(mean.low).toBeLessThan(mean.estimate);
    expect(body.preferences.demographics[0]!.mutual_information).toBeCloseTo(Math.log(2), 9);
    expect(body.counterfactual_gap.estimate).toBeCloseTo(0.25, 12);
    expect(body.lookahead.improvement).toBeCloseTo(0.5, 12);
  });

  it.each([
    ['group_count', { groups: { g: predictions.map(() => 1) } }],
    ['group_too_small', { groups: { g: predictions.map((_, i) => i < 3) } }],
    ['prediction_constant', { predictions: predictions.map(() => 1), labels: undefined }],
    ['label_not_binary', { labels: labels.map((y) => 2 * y) }],
    ['length_mismatch', { labels: [1] }],
    ['value_out_of_range', { predictions: predictions.map((p, i) => (i === 5 ? 1e200 : p)) }],
  ])('refuse data without an answer: %s', async (code, change) => {
    const answer = await audit({ task: 'classification', predictions, labels, groups, ...change });
    expect(await problemOf(answer)).toMatchObject({ status: 422, code: 'data_invalid', errors: [{ code }] });
  });

  it('name columns with JSON pointers, whatever their names', async () => {
    const answer = await audit({ predictions, groups: { '<b>/~"': predictions.map(() => 'one') } });
    expect(await problemOf(answer)).toMatchObject({ errors: [{ code: 'group_count', pointer: '/groups/<b>~1~0"' }] });
  });

  it('store nothing of a request or its answer, idempotency key or not', async () => {
    const client = await newClient();
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const rows = predictions.map((p, i) => [p, Math.sin(i)]);
    const correction = { method: 'scalar_head', weights: [1, 1], data: { rows, groups: groups.g } };
    const [first, again] = [
      await client.call('POST', '/v1/fairness/corrections', { body: correction, headers }),
      await client.call('POST', '/v1/fairness/corrections', { body: { ...correction, tau: 1 }, headers }),
    ];
    // A replay would give the first answer again, or refuse another body under the same key.
    expect(((await first.json()) as { gap_after: number }).gap_after).toBeCloseTo(0, 9);
    expect(((await again.json()) as { weights: number[] }).weights).toEqual([1, 1]);
    const audited = await client.call('POST', '/v1/fairness/audits', { body: { predictions, groups }, headers });
    expect(audited.status).toBe(200);
    const { results } = await env.DB.prepare('SELECT id FROM published WHERE tenant = ?').bind(client.tenant).all();
    expect(results).toHaveLength(0);
    const { objects } = await env.R2.list({ prefix: `t/${client.tenant}/` });
    expect(objects).toHaveLength(0);
  });

  it('weigh rows, compare with a reference, and look within strata and between neighbours', async () => {
    const answer = await audit({
      task: 'classification',
      predictions: predictions.map((_, i) => (i % 10) / 10),
      labels: predictions.map((_, i) => (i % 3 === 0 ? 1 : 0)),
      groups: { g: predictions.map((_, i) => (i % 2 ? 'b' : 'a')) },
      weights: predictions.map((_, i) => 1 + (i % 4)),
      controls: { region: predictions.map((_, i) => (i < predictions.length / 2 ? 'north' : 'south')) },
      consistency: { features: { x: predictions.map((_, i) => i) }, neighbours: 3 },
      reference: { g: 'a' },
      minimum_group: 10,
      draws: 20,
      permutations: 20,
    });
    expect(answer.status, await answer.clone().text()).toBe(200);
    const { attributes, individual } = (await answer.json()) as {
      attributes: {
        reference: string;
        ratios: { metric: string; four_fifths?: object }[];
        calibration: { bins: object[] }[];
        conditional: { control: string; strata: { level: string; audit: object | null }[] };
      }[];
      individual: { inequality: object[]; consistency: object[] };
    };
    const [attribute] = attributes;
    expect(attribute).toMatchObject({ reference: 'a', conditional: { control: 'region' } });
    expect(attribute!.conditional.strata.map(({ level, audit: own }) => [level, own !== null])).toEqual([
      ['north', true],
      ['south', true],
    ]);
    expect(attribute!.ratios.find((one) => one.metric === 'selection_rate_ratio')!.four_fifths).toBeDefined();
    expect(attribute!.calibration.map(({ bins }) => bins.length)).toEqual([10, 10]);
    expect(individual).toMatchObject({ inequality: [expect.anything()], consistency: [expect.anything()] });
  });

  it('of a thousand rows run at default options', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) => i);
    const answer = await audit({
      task: 'classification',
      predictions: rows.map((i) => ((i * 37) % 101) / 101),
      labels: rows.map((i) => (i % 3 === 0 ? 1 : 0)),
      groups: { sex: rows.map((i) => (i % 2 ? 'f' : 'm')), race: rows.map((i) => 'xyz'[i % 3]!) },
    });
    expect(answer.status, await answer.clone().text()).toBe(200);
  });

  it('send what is too large to a job, and unknown fields back', async () => {
    const large = await audit({
      predictions: Array.from({ length: 20_000 }, (_, i) => i),
      groups: { g: Array.from({ length: 20_000 }, (_, i) => i % 2) },
    });
    expect(await problemOf(large)).toMatchObject({ status: 413, job_type: 'fairness.audit', budget_ms: 500 });
    expect((await problemOf(await audit({ predictions, groups, typo: 1 }))).code).toBe('validation_failed');
  });

  it('count no more combinations than rows, and list no more than a hundred errors', async () => {
    // Twelve attributes of four levels have 4^12 combinations, of which 120 rows show a few.
    const many = Object.fromEntries(
      Array.from({ length: 3 }, (_, k) => [`g${k}`, predictions.map((_, i) => (i + k) % 2)]),
    );
    const wide = { ...many, h: predictions.map((_, i) => `${i % 4}`), k: predictions.map((_, i) => `${(i >> 2) % 2}`) };
    const options = { draws: 10, permutations: 10, minimum_group: 10, intersections: true };
    const answer = await audit({ predictions, groups: wide, ...options });
    expect(answer.status, await answer.clone().text()).toBe(200);
    const wrong = await problemOf(await audit({ predictions: predictions.map(String), groups }));
    expect(wrong.errors).toHaveLength(100);
    expect(wrong.detail).toContain('(and at least 99 more)');
  });
});

describe('bodies beyond the limit', () => {
  it.each([
    ['audits', 'fairness.audit'],
    ['corrections', 'fairness.correct'],
  ])('name the job that takes them: %s', async (path, job_type) => {
    const body = ' '.repeat(8 * 1024 * 1024 + 1);
    const headers = { 'content-type': 'application/json' };
    const answer = (await newClient()).call('POST', `/v1/fairness/${path}`, { body, headers });
    expect(await problemOf(await answer)).toMatchObject({ status: 413, code: 'body_too_large', job_type });
  });
});
