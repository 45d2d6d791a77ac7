/** The correction `group_thresholds`: a predictor that can be registered, and what it does on the rows it was fitted to. */
import { grouping } from '../audit/groups.ts';
import { outcomes } from '../audit/labels.ts';
import { dataError, requireFinite } from '../data-error.ts';
import type { GroupRule } from '../thresholds/document.ts';
import { fitThresholds } from '../thresholds/fit.ts';
import { acceptance, decide } from '../thresholds/rule.ts';
import type { Correction } from './document.ts';

type Request = Extract<Correction, { method: 'group_thresholds' }>;

/** Rates of a group under its rule, coins averaged over. */
function ratesOf(rule: GroupRule, rows: readonly number[], scores: readonly number[], labels: Float64Array) {
  let [accepted, hits, positives] = [0, 0, 0];
  for (const i of rows) {
    const p = acceptance(rule, scores[i]!);
    accepted += p;
    hits += p * labels[i]!;
    positives += labels[i]!;
  }
  const negatives = rows.length - positives;
  return {
    level: rule.level,
    count: rows.length,
    selection_rate: accepted / rows.length,
    true_positive_rate: hits / positives,
    false_positive_rate: (accepted - hits) / negatives,
    accuracy: (hits + negatives - (accepted - hits)) / rows.length,
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const threshold = (above: GroupRule['mix'][number]['above']): string =>
  typeof above === 'number' ? `scores above ${above.toPrecision(4)}` : above;

/** A rule in words, for whoever has to answer for it. */
function explained({ level, ignore, accept_ignored, mix }: GroupRule): string {
  const [first, second] = mix;
  const drawn = second
    ? `accepts ${threshold(first!.above)} in ${percent(first!.share)} of draws and ${threshold(second.above)} in the others`
    : `accepts ${threshold(first!.above)}`;
  const coin =
    ignore > 0
      ? `; in ${percent(ignore)} of draws the score is ignored and ${percent(accept_ignored)} are accepted`
      : '';
  return `${level}: ${drawn}${coin}`;
}

/** Raises `data_invalid`. */
export function groupThresholds(c: Request): Record<string, unknown> {
  const { scores, constraint, objective, grid, attribute, column, id, seed } = c;
  for (const name of ['labels', 'groups'] as const) {
    if (c[name].length !== scores.length) {
      throw dataError('length_mismatch', `/${name}`, `${c[name].length} ${name} for ${scores.length} scores`);
    }
  }
  requireFinite(scores, '/scores');
  const labels = outcomes(c.labels, c.positive);
  const bad = labels.findIndex((y) => y !== 0 && y !== 1);
  if (bad >= 0) {
    throw dataError('label_not_binary', `/labels/${bad}`, `label ${bad} is ${labels[bad]}; it must be 0 or 1`);
  }
  const { groupIds, levels } = grouping('groups', c.groups, '/groups');
  if (levels.length < 2 || levels.length > 64) {
    throw dataError('group_count', '/groups', `there are ${levels.length} groups; thresholds are for 2 to 64`);
  }
  const fitted = fitThresholds({ scores, labels, groupIds, levels }, { constraint, objective, grid });
  const probabilities = Float64Array.from(scores, (score, i) => acceptance(fitted.rules[groupIds[i]!]!, score));
  return {
    predictor: { kind: 'group_thresholds', attribute, base: { column }, groups: fitted.rules, seed, id },
    constraint,
    rate: fitted.rate,
    objective: fitted.objective,
    groups: fitted.rules.map((rule, g) =>
      ratesOf(
        rule,
        scores.map((_, i) => i).filter((i) => groupIds[i] === g),
        scores,
        labels,
      ),
    ),
    explanation: fitted.rules.map(explained),
    probabilities: [...probabilities],
    ...(id === null && { decisions: [...decide(probabilities, seed)] }),
  };
}
