/**
 * `npm run study -- coverage [--reps N]`: how often the audit's intervals hold the truth, on simulated people whose truth is
 * known. Leaves `results/coverage.json` and `results/coverage.md`.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { distanceCoverage, envyCoverage, gapCoverage, rateCoverage } from './interval-coverage/simulations.ts';

const results = join(import.meta.dirname, 'results');
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

export async function run(options: string[]): Promise<void> {
  const at = options.indexOf('--reps');
  const reps = at >= 0 ? Number(options[at + 1]) : 1000;
  const began = performance.now();
  const note = (text: string): void => console.error(`${Math.round((performance.now() - began) / 1000)} s: ${text}`);
  const gaps = gapCoverage(reps, note);
  const rates = rateCoverage();
  const envy = envyCoverage(reps, note);
  const distances = distanceCoverage(Math.ceil(reps / 4), note);
  const stored = {
    gaps,
    rates,
    envy,
    distances,
    reps,
    seconds: Math.round((performance.now() - began) / 1000),
    run: { device: 'cpu', cores: cpus().length, dtype: 'float64', node: process.version },
  };
  writeFileSync(join(results, 'coverage.json'), `${JSON.stringify(stored, null, 1)}\n`);
  const table = (head: string[], rows: string[][]): string =>
    [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const width = (value: number): string => value.toFixed(3);
  const page = `# Coverage of the audit's intervals

Made by \`npm run study -- coverage\`: ${reps} simulated tables per line (a quarter for distances), intervals at 95 %, 300
bootstrap draws; the numbers lie beside this page as JSON. A coverage of 95 % over ${reps} tables has a standard error of
${percent(Math.sqrt((0.95 * 0.05) / reps))}.

## Largest gap of means

Normal scores, equal groups of n rows in all; gaps in standard errors of one difference. \`apart\`: one group lies apart;
\`even\`: groups lie evenly over the gap. Width: against the signed interval of one difference. Above 97 % near a gap of 0,
because a small gap can be reached from both signs, and for many groups, because the lower end must hold for whichever pair is
the widest.

${table(
  ['groups', 'n', 'layout', 'gap', 'coverage', 'width ratio'],
  gaps.map((g) => [String(g.groups), String(g.n), g.layout, String(g.gap), percent(g.coverage), width(g.width)]),
)}

## Rates

Exact (binomial sums), the least over true rates from 0.02 to 0.98.

${table(
  ['rows', 'least coverage', 'at rate', 'mean coverage'],
  rates.map((r) => [String(r.n), percent(r.least), String(r.at), percent(r.mean)]),
)}

## Envy

K heads whose errors are equally frequent (envy 0), or the group's own better by two standard errors.

${table(
  ['K', 'n', 'truth', 'coverage', 'width ratio'],
  envy.map((e) => [String(e.groups), String(e.n), e.truth, percent(e.coverage), width(e.width)]),
)}

## KS and W1

Normal scores, equal groups of n rows in all; the first group is shifted by the given number of standard deviations. KS never
lies below 0, so its interval at equality is one-sided.

${table(
  ['groups', 'n', 'shift', 'KS', 'W1'],
  distances.map((d) => [String(d.groups), String(d.n), String(d.shift), percent(d.ks), percent(d.w1)]),
)}
`;
  writeFileSync(join(results, 'coverage.md'), page);
  console.log(page);
}
