/** The page of the coverage study: one table per part, with what explains it. */
import type { CalibrationCoverage } from './calibration.ts';
import type { RatioCoverage } from './ratios.ts';
import type { distanceCoverage, envyCoverage, gapCoverage, rateCoverage } from './simulations.ts';

type Ran<Rows> = { rows: Rows; reps: number; seconds: number; run: Record<string, unknown> };
export type Stored = {
  gaps?: Ran<ReturnType<typeof gapCoverage>>;
  rates?: Ran<ReturnType<typeof rateCoverage>>;
  ratios?: Ran<RatioCoverage[]>;
  envy?: Ran<ReturnType<typeof envyCoverage>>;
  distances?: Ran<ReturnType<typeof distanceCoverage>>;
  calibration?: Ran<CalibrationCoverage[]>;
};

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const width = (value: number): string => value.toFixed(3);
const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
const counted = ({ reps }: { reps: number }): string =>
  `${reps} tables per line: a coverage of 95 % has a standard error of ${percent(Math.sqrt((0.95 * 0.05) / reps))}.`;

/** Sections of the parts that there are results of. */
export function coveragePage({ gaps, rates, ratios, envy, distances, calibration }: Stored): string {
  const sections = [
    gaps &&
      `## Largest gap of means

Normal scores, equal groups of n rows in all; gaps in standard errors of one difference. \`apart\`: one group lies apart;
\`even\`: groups lie evenly over the gap. Width: against the signed interval of one difference. ${counted(gaps)} Above 97 %
near a gap of 0, because a small gap can be reached from both signs, and for many groups, because the lower end must hold for
whichever pair is the widest.

${table(
  ['groups', 'n', 'layout', 'gap', 'coverage', 'width ratio'],
  gaps.rows.map((g) => [String(g.groups), String(g.n), g.layout, String(g.gap), percent(g.coverage), width(g.width)]),
)}`,
    rates &&
      `## Rates

Exact (binomial sums), the least over true rates from 0.02 to 0.98.

${table(
  ['rows', 'least coverage', 'at rate', 'mean coverage'],
  rates.rows.map((r) => [String(r.n), percent(r.least), String(r.at), percent(r.mean)]),
)}`,
    ratios &&
      `## Smallest ratio of rates

n rows in every group; one has so much of the others' rate. ${counted(ratios)} Above 97 % for many groups, because the upper
end holds for all pairs at once by Bonferroni, though pairs share groups, and for rates of few people, whose score intervals
are wide.

${table(
  ['groups', 'n per group', 'rate', 'ratio', 'coverage', 'without a ratio'],
  ratios.rows.map((r) => [
    String(r.groups),
    String(r.n),
    String(r.rate),
    String(r.ratio),
    percent(r.coverage),
    String(r.undefined),
  ]),
)}`,
    envy &&
      `## Envy

K heads whose errors are equally frequent (envy 0), or the group's own better by two standard errors. ${counted(envy)}

${table(
  ['K', 'n', 'truth', 'coverage', 'width ratio'],
  envy.rows.map((e) => [String(e.groups), String(e.n), e.truth, percent(e.coverage), width(e.width)]),
)}`,
    distances &&
      `## KS and W1

Normal scores, equal groups of n rows in all; the first group is shifted by the given number of standard deviations. At
equality: ${counted(distances)} Neither lies below 0, so the interval at equality is one-sided. Above 97 % where groups differ,
because a distance is off by no more than the distribution functions are, and mostly by less.

${table(
  ['groups', 'n', 'shift', 'tables', 'KS', 'W1'],
  distances.rows.map((d) => [
    String(d.groups),
    String(d.n),
    String(d.shift),
    String(d.tables),
    percent(d.ks),
    percent(d.w1),
  ]),
)}`,
    calibration &&
      `## Calibration within a group

Scores uniform on [0, 1], ten bins. ${counted(calibration)} The error is a mean of absolute values and has the interval of a
distance: above 97 % where the score is off, for the same reason.

${table(
  ['truth', 'n', 'true error', 'error', 'bias'],
  calibration.rows.map((c) => [c.truth, String(c.n), c.of.toFixed(2), percent(c.error), percent(c.bias)]),
)}`,
  ];
  const told = sections.filter((section) => section !== undefined);
  return `# Coverage of the audit's intervals

Made by \`npm run study -- coverage\`: simulated tables, intervals at 95 %, 300 bootstrap draws; the numbers lie beside this
page as JSON.

${told.join('\n\n')}
`;
}
