/** Every metric beside fairlearn, AIF360 and scikit-learn on one table: `tests/golden/fairness.py`. */
import { describe, expect, it } from 'vitest';
import { auditDocument, auditOptionsSchema } from '../../../../shared/fairness/audit/document.ts';
import { grouping, intersection } from '../../../../shared/fairness/audit/groups.ts';
import type { Measured } from '../../../../shared/fairness/audit/measured.ts';
import { fairnessReference } from '../../../support/fairness-reference.ts';

const expected = fairnessReference();
const { columns } = expected;
const predictions = Float64Array.from(columns.score);
const labels = Float64Array.from(columns.label);
const weights = Float64Array.from(columns.weight);
const features = [columns.f1, columns.f2, columns.f3].map((column) => Float64Array.from(column));
const groups = [grouping('group', columns.group)];
const options = (change: object = {}) =>
  auditOptionsSchema.parse({ task: 'classification', draws: 20, permutations: 10, minimum_group: 2, ...change });

/** The estimate of a metric in a list of them. */
const of = (list: readonly Measured[], metric: string): number => {
  const found = list.find((one) => one.metric === metric);
  expect(found, metric).toBeDefined();
  return found!.estimate!;
};
const DIGITS = 9;

describe.each([
  ['every row once', expected.plain, undefined],
  ['weighted rows', expected.weighted, weights],
] as const)('group metrics of %s', (_, reference, weighted) => {
  const report = auditDocument({ predictions, labels, groups, ...(weighted && { weights: weighted }) }, options());
  const [attribute] = report.attributes;

  it('are those of fairlearn and scikit-learn', () => {
    for (const group of attribute!.groups) {
      for (const [metric, value] of Object.entries(reference.groups[group.level]!)) {
        expect(of(group.metrics, metric), `${metric} of ${group.level}`).toBeCloseTo(value, DIGITS);
      }
    }
  });

  it('have the gaps and ratios of fairlearn, equalised odds among them', () => {
    for (const [metric, value] of Object.entries(reference.gaps)) {
      expect(of(attribute!.overall, `${metric}_gap`), metric).toBeCloseTo(value, DIGITS);
    }
    for (const [metric, value] of Object.entries(reference.ratios)) {
      expect(of(attribute!.ratios, `${metric}_ratio`), metric).toBeCloseTo(value, DIGITS);
    }
    expect(of(attribute!.overall, 'selection_rate_gap')).toBeCloseTo(reference.demographic_parity_difference, DIGITS);
    expect(of(attribute!.ratios, 'selection_rate_ratio')).toBeCloseTo(reference.demographic_parity_ratio, DIGITS);
    expect(of(attribute!.overall, 'equalized_odds_gap')).toBeCloseTo(reference.equalized_odds_difference, DIGITS);
    expect(of(attribute!.ratios, 'equalized_odds_ratio')).toBeCloseTo(reference.equalized_odds_ratio, DIGITS);
    const selection = attribute!.ratios.find(({ metric }) => metric === 'selection_rate_ratio')!;
    expect(selection.four_fifths!.holds).toBe(reference.demographic_parity_ratio >= 0.8);
    expect(selection.low!).toBeLessThan(selection.estimate!);
    expect(selection.high!).toBeGreaterThan(selection.estimate!);
  });
});

describe('conditional parity', () => {
  it('has the gaps and ratios of fairlearn with control features', () => {
    const control = intersection([grouping('control', columns.control)]);
    const report = auditDocument({ predictions, labels, groups, control }, options());
    const { strata } = report.attributes[0]!.conditional!;
    expect(strata.map(({ level }) => level)).toEqual(['x', 'y']);
    for (const { level, audit } of strata) {
      for (const metric of ['selection_rate', 'true_positive_rate']) {
        const [gap, ratio] = [expected.conditional.gaps[level]![metric]!, expected.conditional.ratios[level]![metric]!];
        expect(of(audit!.overall, `${metric}_gap`)).toBeCloseTo(gap, DIGITS);
        expect(of(audit!.ratios, `${metric}_ratio`)).toBeCloseTo(ratio, DIGITS);
      }
    }
  });

  it('says why a stratum has no audit', () => {
    const control = grouping('control', columns.group);
    const report = auditDocument({ predictions, labels, groups, control }, options());
    expect(report.attributes[0]!.conditional!.strata[0]).toMatchObject({
      level: 'a',
      audit: null,
      reason: expect.stringMatching(/fewer than two groups/),
    });
  });
});

describe('a reference group', () => {
  const against = (change: object = {}) =>
    auditDocument({ predictions, labels, groups, ...change }, options({ reference: { group: 'a' } })).attributes[0]!;

  it('is what the others are compared with, as by AIF360', () => {
    const [plain, weighted] = [against(), against({ weights })];
    expect(plain.pairs.map(({ a, b }) => [a, b])).toEqual([
      ['b', 'a'],
      ['c', 'a'],
    ]);
    for (const [k, { a, metrics, ratios }] of plain.pairs.entries()) {
      const figures = expected.reference[a]!;
      for (const metric of ['selection_rate_difference', 'true_positive_rate_difference', 'average_odds_difference']) {
        expect(of(metrics, metric), `${metric} of ${a}`).toBeCloseTo(figures[metric]!, DIGITS);
      }
      expect(of(ratios, 'selection_rate_ratio')).toBeCloseTo(figures.selection_rate_ratio!, DIGITS);
      const heavy = weighted.pairs[k]!.ratios;
      expect(of(heavy, 'selection_rate_ratio')).toBeCloseTo(figures.weighted_selection_rate_ratio!, DIGITS);
    }
    const largest = Math.max(...Object.values(expected.reference).map((f) => Math.abs(f.selection_rate_difference!)));
    expect(of(plain.overall, 'selection_rate_gap')).toBeCloseTo(largest, DIGITS);
  });

  it('has to be there', () => {
    const unknown = (reference: object) => () => auditDocument({ predictions, labels, groups }, options({ reference }));
    expect(unknown({ group: 'z' })).toThrow(/the reference "z" is no group of group/);
    expect(unknown({ sex: 'a' })).toThrow(/there is no attribute sex/);
  });
});

describe('fairness between people', () => {
  it('has the entropies and consistency of AIF360', () => {
    for (const [alpha, value] of Object.entries(expected.individual.generalized_entropy)) {
      const { individual } = auditDocument({ predictions, labels, groups }, options({ entropy_alpha: Number(alpha) }));
      expect(individual!.inequality[0]!.generalized_entropy.estimate, alpha).toBeCloseTo(value, DIGITS);
    }
    const near = { features, neighbours: 5 };
    const { individual } = auditDocument({ predictions, labels, groups, consistency: near }, options());
    const [{ theil_index, between_groups }] = individual!.inequality as [
      (typeof individual & {})['inequality'][number],
    ];
    expect(theil_index.estimate).toBeCloseTo(expected.individual.generalized_entropy['1']!, DIGITS);
    expect(between_groups[0]!.generalized_entropy.estimate).toBeCloseTo(expected.individual.between_groups, DIGITS);
    expect(individual!.consistency[0]!.estimate).toBeCloseTo(expected.individual.consistency, DIGITS);
    const scores = auditDocument(
      { predictions, labels, groups, consistency: { features, neighbours: 7 } },
      options({ task: 'regression' }),
    );
    expect(scores.individual!.consistency[0]!.estimate).toBeCloseTo(expected.individual.consistency_of_scores, DIGITS);
    expect(scores.individual!.inequality).toEqual([]);
  });
});

describe('calibration within groups', () => {
  it("has scikit-learn's curve, its error, and an interval that holds what the score was drawn by", () => {
    const report = auditDocument({ predictions, labels, groups }, options({ draws: 200 }));
    for (const { level, error, bias, bins } of report.attributes[0]!.calibration!) {
      const { observed, mean_score, counts, error: wanted } = expected.calibration[level]!;
      expect(bins.map(({ count }) => count)).toEqual(counts);
      const used = bins.filter(({ count }) => count > 0);
      used.forEach((bin, k) => {
        expect(bin.observed).toBeCloseTo(observed[k]!, DIGITS);
        expect(bin.mean_score).toBeCloseTo(mean_score[k]!, DIGITS);
        expect(bin.low!).toBeLessThanOrEqual(bin.observed!);
        expect(bin.high!).toBeGreaterThanOrEqual(bin.observed!);
      });
      expect(error.estimate).toBeCloseTo(wanted, DIGITS);
      expect(error.low!).toBeLessThan(error.estimate!);
      expect(error.high!).toBeGreaterThan(error.estimate!);
      expect(bias.low!).toBeLessThan(bias.high!);
    }
  });

  it('is left out where scores cannot be probabilities', () => {
    const report = auditDocument({ predictions: predictions.map((p) => 2 * p), labels, groups }, options());
    expect(report.attributes[0]!.calibration).toBeUndefined();
  });
});

describe('weights', () => {
  it.each([
    ['value_out_of_range', weights.map((w, i) => (i === 3 ? 0 : w))],
    ['length_mismatch', weights.slice(1)],
  ])('are refused where they mean nothing: %s', (code, bad) => {
    const audited = () => auditDocument({ predictions, labels, groups, weights: bad }, options());
    expect(audited).toThrow(expect.objectContaining({ errors: [expect.objectContaining({ code })] }));
  });

  it('that are all equal change nothing', () => {
    const plain = auditDocument({ predictions, labels, groups }, options());
    const equal = auditDocument({ predictions, labels, groups, weights: weights.map(() => 1) }, options());
    expect(equal).toEqual(plain);
  });
});
