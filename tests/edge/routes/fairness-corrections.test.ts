import { describe, expect, it } from 'vitest';
import { type GroupMoments, momentsByGroup } from '../../../shared/fairness/moments.ts';
import { toRows } from '../../../shared/math/matrix.ts';
import { stream } from '../../../shared/math/random.ts';
import { newClient, problemOf } from '../support/client.ts';
import { lookahead } from '../support/predictors.ts';

describe('corrections', () => {
  const correct = async (body: unknown): Promise<Response> =>
    (await newClient()).call('POST', '/v1/fairness/corrections', { body });
  const moments = [1, -1].map((x) => ({
    count: 1000,
    mean: [x, 0],
    covariance: [
      [1, 0],
      [0, 1],
    ],
  }));

  it('change a scalar head to the closed form, from moments or from rows', async () => {
    const answer = await correct({ method: 'scalar_head', weights: [1, 1], tau: 0, data: { moments } });
    const body = (await answer.json()) as { weights: number[]; gap_before: number; gap_after: number };
    expect(body.weights[0]).toBeCloseTo(0, 12);
    expect(body.weights[1]).toBeCloseTo(1, 12);
    expect([body.gap_before, body.gap_after]).toEqual([2, expect.closeTo(0, 12)]);
    const rows = Array.from({ length: 40 }, (_, i) => [i % 2 ? 1 : 0, Math.sin(i * i)]);
    const groups = rows.map((_, i) => (i % 2 ? 'b' : 'a'));
    const fromRows = await correct({
      method: 'scalar_head',
      weights: [1, 1],
      tau: 0.5,
      ridge: 1e-6,
      data: { rows, groups },
    });
    const second = (await fromRows.json()) as { gap_before: number; gap_after: number };
    expect(second.gap_after / second.gap_before).toBeCloseTo(0.5, 9);
  });

  it('correct a layer, whose spectrum then takes other budgets without the data', async () => {
    const weights = [
      [1, 0],
      [0, 1],
    ];
    const mean = [
      { count: 100, mean: [3, 4], covariance: weights },
      { count: 100, mean: [0, 0], covariance: weights },
    ];
    const answer = await correct({ method: 'layer', weights, c1: 25, c2: 1, data: { moments: mean } });
    const { multiplier, steps } = (await answer.json()) as {
      multiplier: number[][];
      steps: { kind: string; vectors: number[][]; squares: number[]; costs: number[] }[];
    };
    expect(multiplier[0]![0]).toBeCloseTo(0.712, 4);
    const { kind, vectors, squares, costs } = steps[0]!;
    const tuned = await correct({ method: 'retune', kind, vectors, squares, costs, ratios: [1, 25] });
    const { settings } = (await tuned.json()) as { settings: { multiplier: number[][] }[] };
    expect(settings[0]!.multiplier).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(settings[1]!.multiplier[0]![1]).toBeCloseTo(multiplier[0]![1]!, 9);
  });

  it('map scores to a barycentre and refit a lookahead predictor for other eta and rho', async () => {
    const gaussian = await correct({
      method: 'gaussian_barycentre',
      groups: [
        { share: 0.3, mean: 0, deviation: 1 },
        { share: 0.7, mean: 2, deviation: 3 },
      ],
    });
    const shares = [1e308, 1e308].map((share, k) => ({ share, mean: 4 * k, deviation: 1 }));
    expect(await (await correct({ method: 'gaussian_barycentre', groups: shares })).json()).toMatchObject({ mean: 2 });
    expect(await gaussian.json()).toMatchObject({
      mean: expect.closeTo(1.4, 9),
      deviation: expect.closeTo(2.4, 9),
      cost: expect.closeTo(1.68, 9),
    });
    const scores = [1, 2, 3, 4, 5, 6, 7, 8];
    const mapped = await correct({ method: 'barycentre', scores, groups: scores.map((x) => x > 4), split: false });
    expect(((await mapped.json()) as { scores: number[] }).scores).toEqual([3, 4, 5, 6, 3, 4, 5, 6]);
    const second = [
      [1, 1, 2, 2],
      [1, 2, 3, 3],
      [2, 3, 6, 5],
      [2, 3, 5, 7],
    ];
    const refit = await correct({
      method: 'lookahead_refit',
      predictor: lookahead,
      moments: { count: 9, free: [], second },
      settings: [
        { eta: 1, rho: 1 },
        { eta: 2, rho: 0.5 },
      ],
    });
    const { settings } = (await refit.json()) as {
      settings: { constant: number; gap_factor: number; predictor: { rho: number } }[];
    };
    expect(settings.map((s) => [s.constant, s.gap_factor, s.predictor.rho])).toEqual([
      [1, 0, 1],
      [0.5, 0.5, 0.5],
    ]);
  });

  it.each([
    [
      422,
      'matrix_singular',
      {
        method: 'scalar_head',
        weights: [1, 1],
        data: {
          moments: moments.map((m) => ({
            ...m,
            covariance: [
              [0, 0],
              [0, 0],
            ],
          })),
        },
      },
    ],
    [422, 'group_count', { method: 'scalar_head', weights: [1], data: { rows: [[1], [2]], groups: ['a', 'a'] } }],
    [422, 'budget_invalid', { method: 'layer', weights: [[1, 0]], c1: 0.5, data: { moments } }],
    [422, 'length_mismatch', { method: 'layer', weights: [[1]], data: { moments } }],
    [422, 'weights_misfit', { method: 'layer', weights: [[1, 0], [1]], data: { moments } }],
  ])('are refused with %i %s', async (status, code, body) => {
    expect(await problemOf(await correct(body))).toMatchObject({ status, errors: [{ code }] });
  });

  it('edit layers as wide as the edge takes, within both budgets', async () => {
    const size = 64;
    const random = stream(23, 'wide');
    const matrix = (name: string, n: number) => {
      const flat = random.derive(name).normal(n * size);
      return Array.from({ length: n }, (_, i) => Array.from(flat.subarray(i * size, (i + 1) * size)));
    };
    const groups = [1, 1.3, 0.8].map((scale, g) => {
      const data = Float64Array.from(matrix(`group ${g}`, 200).flat(), (v) => scale * v + g / 4);
      const [m] = momentsByGroup(data, size, new Uint8Array(200), 1) as [GroupMoments];
      return { count: 200, mean: [...m.mean], covariance: toRows(m.covariance) };
    });
    const weights = matrix('weights', size);
    const answer = await correct({ method: 'layer', weights, data: { moments: groups.slice(0, 2) } });
    expect(answer.status, await answer.clone().text()).toBe(200);
    const body = (await answer.json()) as {
      weights: number[][];
      multiplier: number[][];
      steps: { before: number; after: number }[];
    };
    expect(body.steps.map((s) => s.before / s.after)).toEqual([expect.closeTo(150, 6), expect.closeTo(15, 6)]);
    for (const [o, i] of [
      [0, 0],
      [17, 63],
      [63, 5],
    ] as const) {
      const product = body.multiplier[o]!.reduce((sum, p, k) => sum + p * weights[k]![i]!, 0);
      expect(product, 'seed 23').toBeCloseTo(body.weights[o]![i]!, 9);
    }
    const three = await correct({ method: 'layer', weights, data: { moments: groups } });
    expect(three.status).toBe(200);
    expect(await three.json()).toMatchObject({ corrected: true });
  });

  it('give every group thresholds of its own, which run as a predictor', async () => {
    const client = await newClient();
    const rows = Array.from({ length: 80 }, (_, i) => i);
    const body = {
      method: 'group_thresholds',
      scores: rows.map((i) => ((i * 37) % 80) / 80),
      labels: rows.map((i) => (i * 37) % 80 > 30 + 20 * (i % 2)),
      groups: rows.map((i) => (i % 2 ? 'b' : 'a')),
      attribute: 'g',
      column: 's',
    };
    const answer = (await (await client.call('POST', '/v1/fairness/corrections', { body })).json()) as {
      predictor: object;
      corrected: boolean;
      decisions: number[];
      probabilities: number[];
    };
    expect(answer.corrected).toBe(true);
    const registered = await client.call('POST', '/v1/fairness/predictors', { body: answer.predictor });
    const { id } = (await registered.json()) as { id: string };
    const table = { columns: { g: body.groups, s: body.scores } };
    const predicted = await client.call('POST', `/v1/fairness/predictors/${id}/predictions`, { body: table });
    expect(await predicted.json()).toMatchObject({ scores: answer.probabilities, decisions: answer.decisions });
  });

  it('send wide layers to a job', async () => {
    const weights = Array.from({ length: 65 }, () => [1, 0]);
    expect(await problemOf(await correct({ method: 'layer', weights, data: { moments } }))).toMatchObject({
      status: 413,
      job_type: 'fairness.correct',
    });
  });
});
