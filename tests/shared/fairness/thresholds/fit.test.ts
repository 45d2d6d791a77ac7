/** Group thresholds beside fairlearn's ThresholdOptimizer on one table: `tests/golden/fairness.py`. */
import { describe, expect, it } from 'vitest';
import { grouping } from '../../../../shared/fairness/audit/groups.ts';
import { correct } from '../../../../shared/fairness/corrections/correct.ts';
import { correctionSchema } from '../../../../shared/fairness/corrections/document.ts';
import { compilePredictor } from '../../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../../shared/fairness/predictors/document.ts';
import { fitThresholds } from '../../../../shared/fairness/thresholds/fit.ts';
import { acceptance } from '../../../../shared/fairness/thresholds/rule.ts';
import { tableFromColumns } from '../../../../shared/formats/json-table.ts';
import { fairnessReference } from '../../../support/fairness-reference.ts';

const { columns, thresholds } = fairnessReference();
const { groupIds, levels } = grouping('group', columns.group);
const data = { scores: columns.score, labels: columns.label, groupIds, levels };

describe('group thresholds', () => {
  it.each(thresholds)('are those of fairlearn for $constraint and $objective', (wanted) => {
    const { constraint, objective } = wanted;
    const { rules, rate } = fitThresholds(data, { constraint, objective, grid: 1000 });
    expect(rate).toBeCloseTo(wanted.rate, 12);
    columns.score.forEach((score, i) => {
      expect(acceptance(rules[groupIds[i]!]!, score), `row ${i}`).toBeCloseTo(wanted.probabilities[i]!, 9);
    });
  });

  it.each(thresholds)('are at least as good without a grid for $constraint and $objective', (wanted) => {
    const { constraint, objective } = wanted;
    const [exact, gridded] = [null, 1000].map((grid) => fitThresholds(data, { constraint, objective, grid }).objective);
    expect(exact!).toBeGreaterThanOrEqual(gridded! - 1e-12);
  });

  it('make both rates equal, in words and as a predictor', () => {
    const answer = correct(
      correctionSchema.parse({
        method: 'group_thresholds',
        scores: columns.score,
        labels: columns.label.map((y) => (y === 1 ? 'yes' : 'no')),
        positive: 'yes',
        groups: columns.group,
        attribute: 'group',
        seed: 4,
      }),
    ) as {
      predictor: unknown;
      groups: { true_positive_rate: number; false_positive_rate: number }[];
      explanation: string[];
      probabilities: number[];
      decisions: number[];
    };
    for (const rate of ['true_positive_rate', 'false_positive_rate'] as const) {
      const rates = answer.groups.map((group) => group[rate]);
      expect(Math.max(...rates) - Math.min(...rates)).toBeLessThan(1e-12);
    }
    expect(answer.explanation).toHaveLength(3);
    expect(answer.explanation.join('\n')).toMatch(/in \d+\.\d % of draws the score is ignored/);
    const predictor = compilePredictor(predictorDocumentSchema.parse(answer.predictor));
    const predicted = predictor.predict(tableFromColumns({ group: columns.group, score: columns.score }));
    expect([...predicted.scores]).toEqual(answer.probabilities);
    expect([...predicted.decisions!]).toEqual(answer.decisions);
    // The coins are seeded, and fall as often as they should.
    const mixed = answer.probabilities.filter((p) => p > 0 && p < 1);
    const accepted = answer.decisions.filter((_, i) => answer.probabilities[i]! > 0 && answer.probabilities[i]! < 1);
    const [sum, spread] = [mixed.reduce((s, p) => s + p, 0), mixed.reduce((s, p) => s + p * (1 - p), 0)];
    expect(Math.abs(accepted.reduce((s, d) => s + d, 0) - sum)).toBeLessThan(4 * Math.sqrt(spread));
  });

  it('toss the same coin for a person in every table that has an id', () => {
    const document = predictorDocumentSchema.parse({
      kind: 'group_thresholds',
      attribute: 'group',
      id: 'person',
      seed: 9,
      base: { column: 'score' },
      groups: [
        {
          level: 'a',
          mix: [
            { share: 0.5, above: 'everybody' },
            { share: 0.5, above: 'nobody' },
          ],
        },
      ],
    });
    const predictor = compilePredictor(document);
    const people = Array.from({ length: 40 }, (_, i) => `p${i}`);
    const decisions = (who: string[]) =>
      predictor.predict(tableFromColumns({ person: who, group: who.map(() => 'a'), score: who.map(() => 0.5) }))
        .decisions!;
    const [forth, back] = [decisions(people), decisions(people.toReversed())];
    expect([...forth]).toEqual([...back].reverse());
    expect(new Set(forth).size).toBe(2);
  });

  it('work over a network, and refuse what they do not know', () => {
    const base = {
      kind: 'network',
      inputs: [{ kind: 'number', name: 'x' }],
      layers: [{ weights: [[1]], bias: [0], activation: 'logistic' }],
    };
    const rule = (level: string, above: number) => ({ level, mix: [{ share: 1, above }] });
    const groups = [rule('a', 0.4), rule('b', 0.6)];
    const document = { kind: 'group_thresholds', attribute: 'g', base, groups };
    const predict = (change: object, table: Record<string, unknown[]>) =>
      compilePredictor(predictorDocumentSchema.parse({ ...document, ...change })).predict(tableFromColumns(table));
    expect([...predict({}, { x: [0, 0, 1], g: ['a', 'b', 'b'] }).decisions!]).toEqual([1, 0, 1]);
    expect(() => predict({}, { x: [0], g: ['z'] })).toThrow(/row 0 is of a group without thresholds; known: a, b/);
    expect(() => predict({}, { x: [0], g: [null] })).toThrow(/row 0 has no g/);
    expect(() => predict({ groups: [rule('a', 0), rule('a', 1)] }, { x: [0], g: ['a'] })).toThrow(/listed twice/);
    const short = [{ level: 'a', mix: [{ share: 0.5, above: 0 }] }];
    expect(() => predict({ groups: short }, { x: [0], g: ['a'] })).toThrow(/add up to 0.5/);
    const single = { ...data, labels: columns.label.map((y, i) => (groupIds[i] === 1 ? 1 : y)) };
    const how = { constraint: 'equalized_odds', objective: 'accuracy', grid: null } as const;
    expect(() => fitThresholds(single, how)).toThrow(/"b" has rows of one label only/);
  });
});
