import { describe, expect, it } from 'vitest';
import { auditDocument, auditOptionsSchema } from '../../../../shared/fairness/audit/document.ts';
import { grouping } from '../../../../shared/fairness/audit/groups.ts';
import { outcomes } from '../../../../shared/fairness/audit/labels.ts';
import type { Measured } from '../../../../shared/fairness/audit/measured.ts';
import { preferenceIntervals } from '../../../../shared/fairness/audit/preferences.ts';
import { audit } from '../../../../shared/fairness/audit/report.ts';
import { newcombeInterval, wilsonInterval } from '../../../../shared/math/proportions.ts';
import { stream } from '../../../../shared/math/random.ts';

const named = (metrics: readonly Measured[], metric: string): Measured => metrics.find((m) => m.metric === metric)!;

describe('intervals of largest gaps', () => {
  it('hold 0 where groups do not differ, and reach as far as the signed interval', () => {
    const a = Array.from({ length: 40 }, (_, i) => (7 * i) % 40);
    const b = Array.from({ length: 40 }, (_, i) => ((11 * i + 1) % 40) + 0.1);
    const groups = [grouping('g', [...a.map(() => 'a'), ...b.map(() => 'b')])];
    const { attributes } = audit({ predictions: [...a, ...b], groups }, { draws: 500, permutations: 10 });
    const [first] = attributes;
    const signed = named(first!.pairs[0]!.metrics, 'mean_difference');
    const gap = named(first!.overall, 'mean_gap');
    expect(gap.estimate).toBeCloseTo(0.1, 12);
    expect(gap.low).toBe(0);
    expect(gap.high).toBeCloseTo(Math.max(signed.high!, -signed.low!), 12);
    expect(gap.high).toBeGreaterThan(4);
    for (const metric of ['ks', 'w1', 'variance_gap']) {
      expect(named(first!.overall, metric).low, metric).toBe(0);
    }
  });

  // The study `coverage` has every setting with many more tables.
  it.each([
    [2, 0],
    [3, 2],
    [6, 1],
  ])(
    'cover the truth for %d groups at a gap of %d standard errors',
    (groups, gap) => {
      const reps = 60;
      const n = 40 * groups;
      const names = grouping(
        'g',
        Array.from({ length: n }, (_, i) => i % groups),
      );
      const truth = gap * Math.sqrt(2 / 40);
      let [held, equal] = [0, 0];
      for (let seed = 0; seed < reps; seed++) {
        const z = stream(seed, `cover/${groups}`).normal(n);
        const predictions = z.map((value, i) => value + (i % groups === 0 ? truth : 0));
        const { overall } = audit({ predictions, groups: [names] }, { draws: 100, permutations: 1, seed })
          .attributes[0]!;
        const found = named(overall, 'mean_gap');
        held += Number(found.low! <= truth && truth <= found.high!);
        if (gap === 0) {
          equal += Number(named(overall, 'ks').low === 0 && named(overall, 'w1').low === 0);
        }
      }
      // 0.93 and more than two standard errors of 60 tables below it.
      expect(held / reps).toBeGreaterThan(0.86);
      if (gap === 0) {
        expect(equal / reps).toBeGreaterThan(0.82);
      }
    },
    60_000,
  );

  it('account for the choice of the least envy', () => {
    const reps = 80;
    let held = 0;
    for (let seed = 0; seed < reps; seed++) {
      const losses = Array.from({ length: 6 }, (_, j) =>
        stream(seed, `loss/${j}`)
          .uniform(150)
          .map((u) => Number(u < 0.3)),
      );
      const [own] = preferenceIntervals(losses, new Uint8Array(150), { draws: 150, level: 0.95, seed });
      held += Number(own!.envy!.low <= 0 && own!.envy!.high >= 0);
    }
    expect(held / reps).toBeGreaterThan(0.88);
  });
});

const WILSON_0_30 = [0.0, 0.1135133931739688] as const;
const WILSON_7_30 = [0.11792388144489496, 0.40928326158122175] as const;
const NEWCOMBE = [-0.25935265385312634, 0.14588758259663787] as const;

describe('rates', () => {
  it('have the score intervals of statsmodels: Wilson, and Newcombe for differences', () => {
    // statsmodels 0.14: proportion_confint(x, n, method='wilson'), confint_proportions_2indep(method='newcomb').
    const close = (found: { low: number; high: number }, low: number, high: number) => {
      expect(found.low).toBeCloseTo(low, 9);
      expect(found.high).toBeCloseTo(high, 9);
    };
    close(wilsonInterval(0, 30), WILSON_0_30[0], WILSON_0_30[1]);
    close(wilsonInterval(7 / 30, 30), WILSON_7_30[0], WILSON_7_30[1]);
    close(newcombeInterval(wilsonInterval(7 / 30, 30), wilsonInterval(12 / 40, 40)), NEWCOMBE[0], NEWCOMBE[1]);
  });

  it('of none are not certain, and those of too few labels are not told', () => {
    const n = 120;
    const predictions = Array.from({ length: n }, (_, i) => (i % 2 ? 0.1 : (i % 8) / 8));
    const labels = Array.from({ length: n }, (_, i) => Number(i % 2 === 0 ? i % 4 === 0 : i < 10));
    const groups = [
      grouping(
        'g',
        predictions.map((_, i) => (i % 2 ? 'b' : 'a')),
      ),
    ];
    const { attributes } = audit(
      { predictions, labels, groups },
      { task: 'classification', thresholds: [0.5], minimum: 30, draws: 50, permutations: 10 },
    );
    const b = attributes[0]!.groups[1]!;
    expect(named(b.metrics, 'selection_rate')).toMatchObject({ estimate: 0, low: 0 });
    expect(named(b.metrics, 'selection_rate').high).toBeCloseTo(wilsonInterval(0, 60).high, 12);
    // Five positives of group b: a rate of them is noise, whatever the size of the group.
    expect(named(b.metrics, 'true_positive_rate')).toMatchObject({
      estimate: null,
      reason: expect.stringMatching(/5 positive labels/),
    });
    expect(named(attributes[0]!.overall, 'true_positive_rate_gap').estimate).toBeNull();
    expect(named(b.metrics, 'false_positive_rate').estimate).toBe(0);
  });
});

describe('labels', () => {
  const predictions = new Float64Array(90).fill(1);
  const groups = [
    grouping(
      'g',
      Array.from({ length: 90 }, (_, i) => (i < 45 ? 'a' : 'b')),
    ),
  ];
  const options = auditOptionsSchema.parse({ task: 'classification', draws: 50, permutations: 10 });

  it('make constant predictions measurable', () => {
    const labels = Float64Array.from({ length: 90 }, (_, i) => Number(i < 45 ? i % 6 !== 0 : i % 6 === 0));
    const { overall } = auditDocument({ predictions, labels, groups }, options).attributes[0]!;
    expect(named(overall, 'accuracy_gap').estimate).toBeCloseTo(2 / 3, 12);
    expect(() => auditDocument({ predictions, groups }, options)).toThrow(/without labels every gap is 0/);
  });

  it('may be texts with a positive, or truth values', () => {
    expect([...outcomes(['yes', 'no'], 'yes')]).toEqual([1, 0]);
    expect([...outcomes([true, false], null)]).toEqual([1, 0]);
    expect([...outcomes(['True', 'False'], 'true')]).toEqual([1, 0]);
    expect(() => outcomes(['yes'], null)).toThrow(/which text counts as 1/);
    expect(() => outcomes(['yes'], 'maybe')).toThrow(/no label is "maybe"/);
  });

  it('count 1/2 as positive wherever a decision is made', () => {
    const half = new Float64Array(90).fill(0.5);
    const labels = new Float64Array(90).fill(1);
    const report = auditDocument(
      { predictions: half, labels, groups, routing: { routed: new Uint8Array(90), heads: [half, half] } },
      options,
    );
    expect(named(report.attributes[0]!.groups[0]!.metrics, 'selection_rate').estimate).toBe(1);
    expect(report.preferences!.groups[0]!.own.estimate).toBe(0);
  });
});
