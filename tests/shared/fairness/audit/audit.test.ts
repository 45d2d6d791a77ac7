import { describe, expect, it } from 'vitest';
import { ksNoiseFloor } from '../../../../shared/fairness/audit/attribute.ts';
import { auditOptionsSchema, preferencesReport } from '../../../../shared/fairness/audit/document.ts';
import { frontier } from '../../../../shared/fairness/audit/frontier.ts';
import { eligibleGroups, grouping, intersection } from '../../../../shared/fairness/audit/groups.ts';
import { layOut } from '../../../../shared/fairness/audit/layout.ts';
import { holm, permutationTests } from '../../../../shared/fairness/audit/permutation.ts';
import { meanIntervals, preferenceIntervals } from '../../../../shared/fairness/audit/preferences.ts';
import { audit } from '../../../../shared/fairness/audit/report.ts';
import { auditStatistics, type MetricKey } from '../../../../shared/fairness/audit/statistics.ts';
import { stream } from '../../../../shared/math/random.ts';
import { normalCdf } from '../../../../shared/math/special.ts';

/** Metrics by their definitions, from lists of rows: the slow oracle of the weighted passes. */
const naive = {
  ks(a: number[], b: number[]): number {
    const F = (x: number[], t: number) => x.filter((v) => v <= t).length / x.length;
    return Math.max(...[...a, ...b].map((t) => Math.abs(F(a, t) - F(b, t))));
  },
  w1(a: number[], b: number[]): number {
    const all = [...a, ...b].sort((x, y) => x - y);
    const F = (x: number[], t: number) => x.filter((v) => v <= t).length / x.length;
    return all.slice(1).reduce((sum, t, i) => sum + Math.abs(F(a, all[i]!) - F(b, all[i]!)) * (t - all[i]!), 0);
  },
  mean: (x: number[]) => x.reduce((s, v) => s + v, 0) / x.length,
  variance(x: number[]): number {
    const mean = naive.mean(x);
    return x.reduce((s, v) => s + (v - mean) ** 2, 0) / (x.length - 1);
  },
  auc(p: number[], y: number[]): number {
    let [wins, pairs] = [0, 0];
    p.forEach((pi, i) => {
      p.forEach((pj, j) => {
        if (y[i] !== 1 || y[j] !== 0) {
          return;
        }
        pairs += 1;
        wins += pi > pj ? 1 : pi === pj ? 0.5 : 0;
      });
    });
    return wins / pairs;
  },
};

/** Every rate as a share: of which rows, and which of them count, by decision and label. */
const RATES: Record<string, [(s: boolean, y: boolean) => boolean, (s: boolean, y: boolean) => boolean]> = {
  selection_rate: [() => true, (s) => s],
  accuracy: [() => true, (s, y) => s === y],
  true_positive_rate: [(_, y) => y, (s) => s],
  false_positive_rate: [(_, y) => !y, (s) => s],
  precision: [(s) => s, (_, y) => y],
  false_discovery_rate: [(s) => s, (_, y) => !y],
  false_omission_rate: [(s) => !s, (_, y) => y],
};

/** Coarsely rounded scores, so that ties are everywhere, with binary labels and three groups. */
function sample(n: number, seed = 1) {
  const z = stream(seed, 'z').normal(n);
  const groupIds = Int32Array.from(stream(seed, 'g').integers(n, 3));
  const predictions = z.map((x, i) => Math.round(4 * (x + 0.6 * groupIds[i]!)) / 8);
  const u = stream(seed, 'y').uniform(n);
  const labels = predictions.map((p, i) => Number(u[i]! < normalCdf(p)));
  return { predictions, labels, groupIds, names: Array.from(groupIds, (g) => 'abc'[g]!) };
}

describe('weighted statistics', () => {
  it('agree with the definitions on the replicated rows, for any weights', () => {
    const { predictions, labels, names } = sample(90);
    const eligible = eligibleGroups(grouping('g', names), 5);
    const thresholds = [0.25, 0.5];
    const layout = layOut({ predictions, labels }, eligible.rows, eligible.counts, thresholds);
    const { keys, evaluate } = auditStatistics(layout, 'classification');
    const out = new Float64Array(keys.length);
    for (let trial = 0; trial < 10; trial++) {
      const weights = trial === 0 ? new Uint16Array(90).fill(1) : Uint16Array.from(stream(trial, 'w').integers(90, 4));
      evaluate(weights, out);
      const p: number[][] = [[], [], []];
      const y: number[][] = [[], [], []];
      for (let g = 0; g < 3; g++) {
        for (let i = layout.start[g]!; i < layout.start[g + 1]!; i++) {
          for (let k = 0; k < weights[i]!; k++) {
            p[g]!.push(layout.predictions[i]!);
            y[g]!.push(layout.labels![i]!);
          }
        }
      }
      const rate = (
        g: number,
        t: number,
        keep: (s: boolean, y: boolean) => boolean,
        hit: (s: boolean, y: boolean) => boolean,
      ): number => {
        const rows = p[g]!.map((score, i) => [score >= t, y[g]![i] === 1] as const);
        const kept = rows.filter(([s, label]) => keep(s, label));
        return kept.filter(([s, label]) => hit(s, label)).length / kept.length;
      };
      const group = (metric: string, g: number, t = 0): number => {
        switch (metric) {
          case 'mean':
            return naive.mean(p[g]!);
          case 'variance':
            return naive.variance(p[g]!);
          case 'mse':
            return naive.mean(p[g]!.map((v, i) => (v - y[g]![i]!) ** 2));
          case 'mae':
            return naive.mean(p[g]!.map((v, i) => Math.abs(v - y[g]![i]!)));
          case 'auc':
            return naive.auc(p[g]!, y[g]!);
          default: {
            const [keep, hit] = RATES[metric]!;
            return rate(g, t, keep, hit);
          }
        }
      };
      const pair = (key: MetricKey & { scope: 'pair' }): number =>
        key.metric === 'ks' || key.metric === 'w1'
          ? naive[key.metric](p[key.a]!, p[key.b]!)
          : group(key.metric.replace('_difference', ''), key.a, key.threshold) -
            group(key.metric.replace('_difference', ''), key.b, key.threshold);
      keys.forEach((key, k) => {
        let expected: number;
        if (key.scope === 'group') {
          expected = group(key.metric, key.group, key.threshold);
        } else if (key.scope === 'pair') {
          expected = pair(key);
        } else {
          const odds = ['true_positive_rate_difference', 'false_positive_rate_difference'];
          const metrics = key.metric === 'equalized_odds_gap' ? odds : [key.metric.replace('_gap', '_difference')];
          const all = [
            [0, 1],
            [0, 2],
            [1, 2],
          ] as const;
          expected = Math.max(
            ...metrics.flatMap((metric) =>
              all.map(([a, b]) => Math.abs(pair({ ...key, scope: 'pair', metric, a, b }))),
            ),
          );
        }
        expect(out[k], `${key.metric} ${JSON.stringify(key)} trial ${trial}`).toBeCloseTo(expected, 10);
      });
    }
  });

  it('of weighted rows are those of rows repeated so often, but for the variance', () => {
    const { predictions, labels, names } = sample(60, 5);
    const times = Array.from(stream(5, 'times').integers(60, 3), (t) => t + 1);
    const repeat = <T>(values: readonly T[]): T[] => values.flatMap((v, i) => new Array<T>(times[i]!).fill(v));
    const evaluated = (columns: { predictions: number[]; labels: number[]; weights?: number[] }, of: string[]) => {
      const eligible = eligibleGroups(grouping('g', of), 2);
      const layout = layOut(columns, eligible.rows, eligible.counts, [0.25]);
      const { keys, evaluate } = auditStatistics(layout, 'classification');
      const out = new Float64Array(keys.length);
      evaluate(new Uint16Array(of.length).fill(1), out);
      return keys.flatMap(({ metric }, k) => (metric.startsWith('variance') ? [] : [out[k]!]));
    };
    const weighted = evaluated(
      { predictions: Array.from(predictions), labels: Array.from(labels), weights: times },
      names,
    );
    const repeated = evaluated(
      { predictions: repeat(Array.from(predictions)), labels: repeat(Array.from(labels)) },
      repeat(names),
    );
    expect(weighted).toHaveLength(repeated.length);
    weighted.forEach((value, k) => {
      expect(value).toBeCloseTo(repeated[k]!, 12);
    });
  });

  it('give two Gaussians their closed-form distances', () => {
    const n = 60_000;
    for (const gap of [1, 0.5, 0.25]) {
      const predictions = stream(3, `gap${gap}`)
        .normal(n)
        .map((z, i) => z + (i % 2 ? gap : 0));
      const layout = layOut(
        { predictions },
        Uint32Array.from({ length: n }, (_, i) => (i < n / 2 ? 2 * i : 2 * (i - n / 2) + 1)),
        [n / 2, n / 2],
        [],
      );
      const { keys, evaluate } = auditStatistics(layout, 'regression');
      const out = new Float64Array(keys.length);
      evaluate(new Uint16Array(n).fill(1), out);
      const value = (metric: string) => out[keys.findIndex((key) => key.scope === 'all' && key.metric === metric)]!;
      expect(Math.abs(value('ks') - (2 * normalCdf(gap / 2) - 1))).toBeLessThan(0.012);
      expect(Math.abs(value('w1') - gap)).toBeLessThan(0.025);
    }
    expect(2 * normalCdf(0.5) - 1).toBeCloseTo(0.3829, 4);
    expect(2 * normalCdf(0.25) - 1).toBeCloseTo(0.1974, 4);
    expect(2 * normalCdf(0.125) - 1).toBeCloseTo(0.0995, 4);
  });
});

describe('groups', () => {
  it('intersect, and are left out below the minimum size', () => {
    const sex = grouping('sex', ['f', 'm', 'f', 'm', 'f', 'f']);
    const race = grouping('race', ['x', 'x', 'y', 'x', 'x', 'x']);
    const both = intersection([sex, race]);
    expect(both.levels).toEqual(['f & x', 'f & y', 'm & x']);
    const eligible = eligibleGroups(both, 2);
    expect(eligible).toMatchObject({
      levels: ['f & x', 'm & x'],
      counts: [3, 2],
      excluded: [{ level: 'f & y', count: 1 }],
    });
    expect([...eligible.rows]).toEqual([0, 4, 5, 1, 3]);
  });

  it('stay apart where levels hold what joins them', () => {
    const [left, right] = [grouping('l', ['a & b', 'a', 'a']), grouping('r', ['c', 'b & c', 'b & c'])];
    const both = intersection([left, right]);
    expect(both.levels).toEqual(['"a & b" & "c"', '"a" & "b & c"']);
    expect([...both.groupIds]).toEqual([0, 1, 1]);
  });
});

describe('an audit', () => {
  const { predictions, labels, names } = sample(600, 4);
  const groups = [
    grouping('g', names),
    grouping(
      'h',
      Array.from(predictions, (_, i) => i % 2),
    ),
  ];
  const options = { task: 'classification', thresholds: [0.5], draws: 200, permutations: 200, seed: 9 } as const;

  it('is reproducible by its seed and complete', () => {
    const report = audit({ predictions, labels, groups }, options);
    expect(audit({ predictions, labels, groups }, options)).toEqual(report);
    expect(audit({ predictions, labels, groups }, { ...options, seed: 10 })).not.toEqual(report);
    expect(report.attributes.map((a) => a.attribute)).toEqual(['g', 'h', 'g & h']);
    const [first, second] = report.attributes;
    for (const m of first!.overall) {
      expect(m.low!).toBeLessThanOrEqual(m.estimate!);
      expect(m.high!).toBeGreaterThanOrEqual(m.estimate!);
    }
    const p = (attribute: typeof first, metric: string) => attribute!.pairs[0]!.tests.find((t) => t.metric === metric)!;
    expect(p(first, 'ks').p).toBeCloseTo(1 / 201, 6);
    expect(p(first, 'ks').p_holm).toBeGreaterThanOrEqual(p(first, 'ks').p);
    // h has nothing to do with the scores: its differences are noise, and the report says so.
    expect(p(second, 'mean').p).toBeGreaterThan(0.02);
    const ks = second!.overall.find((m) => m.metric === 'ks')!;
    expect(ks.estimate!).toBeLessThan(second!.pairs[0]!.ks_noise_floor * 1.5);
  });

  it('states the noise floor of a KS distance', () => {
    expect(ksNoiseFloor(440, 440)).toBeCloseTo(0.092, 3);
  });

  it.each([
    ['value_not_finite', { predictions: [...predictions.slice(1), Number.NaN] }],
    ['label_not_binary', { labels: labels.map((y) => y + 1) }],
    ['length_mismatch', { labels: labels.slice(1) }],
    ['length_mismatch', { predictions: [] }],
    ['prediction_constant', { predictions: predictions.map(() => 0.5), labels: undefined }],
    ['group_count', { groups: [] }],
    [
      'group_count',
      {
        groups: [
          grouping(
            'g',
            names.map(() => 'a'),
          ),
        ],
      },
    ],
    [
      'group_too_small',
      {
        groups: [
          grouping(
            'g',
            names.map((_, i) => (i < 3 ? 'a' : 'b')),
          ),
        ],
      },
    ],
    [
      'group_too_small',
      {
        groups: [
          grouping(
            'g',
            Array.from(predictions, (_, i) => i % 20),
          ),
        ],
      },
    ],
  ])('refuses data without an answer: %s %#', (code, change) => {
    const input = { predictions, labels, groups, ...change } as Parameters<typeof audit>[0];
    const run = () => audit(input, { ...options, draws: 2, permutations: 2, minimum: 31 });
    expect(run).toThrow(expect.objectContaining({ code: 'data_invalid', errors: [expect.objectContaining({ code })] }));
  });

  it('refuses a missing group label', () => {
    expect(() => grouping('g', ['a', null])).toThrow(/row 1 has no g/);
  });

  it('gives null, not a number, where a rate has no denominator', () => {
    const zeros = labels.map(() => 0);
    const report = audit(
      { predictions, labels: zeros, groups: groups.slice(0, 1) },
      { ...options, draws: 5, permutations: 5 },
    );
    const auc = report.attributes[0]!.groups[0]!.metrics.find((m) => m.metric === 'auc')!;
    expect(auc).toMatchObject({ estimate: null, low: null, high: null });
    expect(report.attributes[0]!.overall.find((m) => m.metric === 'auc_gap')!.estimate).toBeNull();
    expect(report.attributes[0]!.overall.find((m) => m.metric === 'true_positive_rate_gap')!.estimate).toBeNull();
  });
});

describe('permutation tests', () => {
  it('agree with all permutations of a small world', () => {
    const predictions = [0.1, 0.9, 0.4, 0.7, 0.2, 0.8, 0.35];
    const counts = [3, 4];
    const layout = layOut({ predictions }, Uint32Array.of(1, 3, 5, 0, 2, 4, 6), counts, []);
    const observed = naive.mean([0.9, 0.7, 0.8]) - naive.mean([0.1, 0.4, 0.2, 0.35]);
    let [reached, total] = [0, 0];
    for (let bits = 0; bits < 128; bits++) {
      const inside = predictions.filter((_, i) => (bits >> i) & 1);
      if (inside.length !== 3) {
        continue;
      }
      total += 1;
      const outside = predictions.filter((_, i) => !((bits >> i) & 1));
      reached += Number(Math.abs(naive.mean(inside) - naive.mean(outside)) >= observed - 1e-12);
    }
    const tests = permutationTests(layout, layout.pairs[0]!, 'regression', 20_000, stream(1, 'exact'));
    expect(tests.find((t) => t.metric === 'mean')!.p).toBeCloseTo(reached / total, 2);
  });

  it('have uniform p-values when groups are exchangeable', () => {
    const p = Array.from({ length: 200 }, (_, seed) => {
      const predictions = stream(seed, 'null').normal(80);
      const layout = layOut(
        { predictions },
        Uint32Array.from({ length: 80 }, (__, i) => i),
        [30, 50],
        [],
      );
      return permutationTests(layout, layout.pairs[0]!, 'regression', 99, stream(seed, 'p')).map((t) => t.p);
    });
    for (let k = 0; k < 4; k++) {
      const below = p.filter((list) => list[k]! <= 0.2).length / 200;
      expect(Math.abs(below - 0.2)).toBeLessThan(0.09);
    }
  });

  it('are adjusted by Holm', () => {
    expect(holm([0.01, 0.04, 0.03]).map((x) => Math.round(x * 1e12) / 1e12)).toEqual([0.03, 0.06, 0.06]);
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
  });
});

describe('intervals of preferences and means', () => {
  it('hold the gaps of losses, with the envy that is the smallest of several', () => {
    const n = 400;
    const u = stream(2, 'losses').uniform(3 * n);
    const losses = [0, 1, 2].map((j) =>
      Uint8Array.from({ length: n }, (_, i) => Number(u[3 * i + j]! < 0.2 + 0.1 * j)),
    );
    const routed = Uint8Array.from({ length: n }, (_, i) => i % 2);
    const [first, second] = preferenceIntervals(losses, routed, { draws: 400, level: 0.9, seed: 1 });
    expect(first!.rationality.estimate).toBeCloseTo(first!.pooled.estimate - first!.own.estimate, 12);
    const own = naive.mean(Array.from(losses[1]!).filter((_, i) => i % 2 === 1));
    expect(second!.own.estimate).toBeCloseTo(own, 12);
    expect(second!.rationality.low).toBeLessThan(second!.rationality.estimate);
    expect(
      preferenceIntervals(losses.slice(1), new Uint8Array(n), { draws: 20, level: 0.9, seed: 1 })[0]!.envy,
    ).toBeNull();
    const [even, odd] = meanIntervals(losses[0]!, routed, 2, { draws: 400, level: 0.95, seed: 3 });
    const mean = naive.mean(Array.from(losses[0]!).filter((_, i) => i % 2 === 0));
    expect(even!.estimate).toBeCloseTo(mean, 12);
    expect(even!.error).toBeCloseTo(Math.sqrt((mean * (1 - mean)) / 200), 2);
    expect(odd!.high).toBeGreaterThan(odd!.estimate);
    expect(() => preferenceIntervals(losses, Uint8Array.of(7), { draws: 2, level: 0.9, seed: 0 })).toThrow(
      /no group 7/,
    );
  });
});

describe('gaps of demographic groups', () => {
  it('are claimed of groups of enough rows alone', () => {
    const n = 100;
    const scores = stream(6, 'scores').uniform(n);
    const labels = scores.map((score) => Number(score > 0.4));
    const groups = [
      grouping(
        'g',
        Array.from(labels, (_, i) => (i < 3 ? 'few' : i % 2 ? 'odd' : 'even')),
      ),
    ];
    const routing = { routed: new Uint8Array(n), heads: [scores, scores.map((score) => 1 - score)] };
    const options = auditOptionsSchema.parse({ task: 'classification', minimum_group: 10, draws: 20 });
    const [report] = preferencesReport({ predictions: scores, labels, groups, routing }, options).demographics;
    expect(report!.groups.map((g) => [g.level, g.count, g.routing])).toEqual([
      ['even', 48, [1]],
      ['odd', 49, [1]],
    ]);
    expect(report!.excluded).toEqual([{ level: 'few', count: 3 }]);
  });
});

describe('gaps of learned groups', () => {
  it('of one that no row goes to are null with a reason, and the others as without it', () => {
    const n = 60;
    const scores = stream(7, 'scores').uniform(n);
    const labels = scores.map((score) => Number(score > 0.4));
    const heads = [scores, scores.map((score) => 1 - score), scores.map(() => 0.3)];
    const options = auditOptionsSchema.parse({ task: 'classification', draws: 20 });
    const routing = { routed: new Uint8Array(n).fill(1), heads };
    const { groups, without_harm_rate } = preferencesReport(
      { predictions: scores, labels, groups: [], routing },
      options,
    );
    expect(groups.map(({ group, count }) => [group, count])).toEqual([
      [0, 0],
      [1, n],
    ]);
    for (const name of ['own', 'pooled', 'rationality', 'envy'] as const) {
      expect(groups[0]![name]).toMatchObject({ estimate: null, low: null, high: null, reason: expect.any(String) });
      expect(groups[1]![name]!.estimate).toEqual(expect.any(Number));
      expect(groups[1]![name]).not.toHaveProperty('reason');
    }
    expect(without_harm_rate).toBe(0);
  });
});

describe('the frontier', () => {
  it('keeps what nothing dominates, in order of error', () => {
    const points = [
      [3, 1],
      [1, 3],
      [2, 2],
      [2, 2.5],
      [1, 4],
      [4, 1],
      [Number.NaN, 0],
    ].map(([error, unfairness]) => ({ error: error!, unfairness: unfairness! }));
    expect(frontier(points)).toEqual([1, 2, 0]);
    expect(frontier([])).toEqual([]);
  });
});
