/** Fairness between people as an audit reports it: inequality of benefits, within and between groups, and consistency. */
import { stream } from '../../math/random.ts';
import { bootstrap } from '../../math/resample.ts';
import { dataError, requireFinite } from '../data-error.ts';
import type { Grouping } from './groups.ts';
import { benefitOf, generalizedEntropy, inconsistencies } from './individual.ts';
import { type Measured, measured } from './measured.ts';
import { meanIntervals } from './preferences.ts';
import type { Task } from './statistics.ts';

type IndividualInput = {
  predictions: Float64Array;
  labels?: Float64Array;
  groups: readonly Grouping[];
  weights?: Float64Array;
  consistency?: { features: readonly Float64Array[]; neighbours: number };
};
type IndividualOptions = {
  task: Task;
  thresholds: readonly number[];
  alpha: number;
  draws: number;
  level: number;
  seed: number;
};
type InequalityReport = {
  threshold: number;
  /** Of benefits decision - label + 1. */
  generalized_entropy: Measured;
  theil_index: Measured;
  /** The generalised entropy that is left when everybody has the mean benefit of their group. */
  between_groups: { attribute: string; generalized_entropy: Measured }[];
};
export type IndividualReport = {
  inequality: InequalityReport[];
  consistency: Measured[];
};

/** Benefits are 0, 1 or 2. */
const BENEFITS = [0, 1, 2] as const;

/** Inequality of benefits at one threshold: all rows drawn together, entropies from how many have each benefit. */
function inequalityAt(input: IndividualInput, threshold: number, options: IndividualOptions): InequalityReport {
  const { predictions, labels, groups, weights } = input;
  const { alpha, draws, level, seed } = options;
  const n = predictions.length;
  const benefits = Uint8Array.from(predictions, (score, i) => benefitOf(Number(score >= threshold), labels![i]!));
  const mass = new Float64Array(BENEFITS.length);
  const sums = groups.map(({ levels }) => new Float64Array(levels.length));
  const totals = groups.map(({ levels }) => new Float64Array(levels.length));
  const { intervals } = bootstrap({
    strata: [n],
    size: 2 + groups.length,
    draws,
    level,
    random: stream(seed, `inequality/${threshold}`),
    evaluate: (drawn, out) => {
      mass.fill(0);
      for (let i = 0; i < n; i++) {
        mass[benefits[i]!]! += weights ? drawn[i]! * weights[i]! : drawn[i]!;
      }
      out[0] = generalizedEntropy(BENEFITS, mass, alpha);
      out[1] = generalizedEntropy(BENEFITS, mass, 1);
      for (const [k, { groupIds }] of groups.entries()) {
        const [sum, total] = [sums[k]!.fill(0), totals[k]!.fill(0)];
        for (let i = 0; i < n; i++) {
          const w = weights ? drawn[i]! * weights[i]! : drawn[i]!;
          sum[groupIds[i]!]! += w * benefits[i]!;
          total[groupIds[i]!]! += w;
        }
        const present = total.map((_, g) => g).filter((g) => total[g]! > 0);
        out[2 + k] = generalizedEntropy(
          present.map((g) => sum[g]! / total[g]!),
          present.map((g) => total[g]!),
          alpha,
        );
      }
    },
  });
  return {
    threshold,
    generalized_entropy: measured('generalized_entropy', intervals[0]!),
    theil_index: measured('theil_index', intervals[1]!),
    between_groups: groups.map(({ name }, k) => ({
      attribute: name,
      generalized_entropy: measured('between_group_generalized_entropy', intervals[2 + k]!),
    })),
  };
}

/** Consistency of decisions at every threshold, or of the predictions where there is none. */
function consistencyOf(input: IndividualInput, options: IndividualOptions): Measured[] {
  const { predictions, weights } = input;
  const { features, neighbours } = input.consistency!;
  const n = predictions.length;
  for (const [j, column] of features.entries()) {
    if (column.length !== n) {
      throw dataError('length_mismatch', `/consistency/features/${j}`, `${column.length} values for ${n} predictions`);
    }
    requireFinite(column, `/consistency/features/${j}`);
  }
  const rows = new Uint8Array(n);
  const judge = (outcomes: Float64Array, threshold?: number): Measured => {
    const apart = inconsistencies(outcomes, features, neighbours);
    const alike = apart.map((x) => 1 - x);
    const [interval] = meanIntervals(alike, rows, 1, options, `consistency/${threshold}`, weights);
    return measured('consistency', interval!, threshold);
  };
  return options.thresholds.length === 0
    ? [judge(predictions)]
    : options.thresholds.map((t) =>
        judge(
          predictions.map((score) => Number(score >= t)),
          t,
        ),
      );
}

/** What the columns allow: inequality needs labels of a classification, consistency its features. Undefined for neither. */
export function individualReport(input: IndividualInput, options: IndividualOptions): IndividualReport | undefined {
  const inequality =
    input.labels && options.task === 'classification'
      ? options.thresholds.map((threshold) => inequalityAt(input, threshold, options))
      : [];
  const consistency = input.consistency ? consistencyOf(input, options) : [];
  return inequality.length + consistency.length > 0 ? { inequality, consistency } : undefined;
}
