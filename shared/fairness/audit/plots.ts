/** The plots of an audit: distributions before and after, the frontier of a sweep, the future gap against rho. */

import { Chart, colour } from '../../plots/chart.ts';
import { quantileOf } from '../barycentre.ts';
import type { Grouping } from './groups.ts';
import type { Measured } from './report.ts';

const SIZE = { width: 640, height: 360 };
const MOST_GROUPS = 7;

/** Distribution functions of the scores by group; dashed lines are the scores before the correction. */
export function distributionPlot(
  { name, codes, levels }: Grouping,
  after: Float64Array,
  before?: Float64Array,
): string {
  const all = before ? [after, before] : [after];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const scores of all) for (const s of scores) [low, high] = [Math.min(low, s), Math.max(high, s)];
  const chart = new Chart({
    ...SIZE,
    title: `Scores by ${name}`,
    x: 'score',
    y: 'share of the group at or below',
    xRange: [low, high],
    yRange: [0, 1],
  });
  const shownLevels = levels.slice(0, MOST_GROUPS);
  shownLevels.forEach((level, g) => {
    all.forEach((scores, k) => {
      const own = scores.filter((_, i) => codes[i] === g).sort();
      if (own.length === 0) return;
      const steps = Math.min(200, own.length);
      const points = Array.from({ length: steps + 1 }, (_, i) => [quantileOf(own, i / steps), i / steps] as const);
      chart.line(points, colour(g), { dashed: k === 1 });
    });
    chart.legend(level, colour(g));
  });
  if (before) chart.legend('before (dashed)', '#888', { dashed: true });
  return chart.svg();
}

export type SweepPoint = { error: number; unfairness: number; label: string };

/** Every point of a sweep in (error, unfairness), with the undominated ones joined. */
export function frontierPlot(
  points: readonly SweepPoint[],
  best: readonly number[],
  unfairness = 'KS distance between groups',
): string {
  const [errors, gaps] = [points.map((p) => p.error), points.map((p) => p.unfairness)];
  const chart = new Chart({
    ...SIZE,
    title: 'Fairness against error',
    x: 'mean squared error',
    y: unfairness,
    xRange: [Math.min(...errors), Math.max(...errors)],
    yRange: [0, Math.max(...gaps)],
  });
  chart.line(
    best.map((i) => [errors[i]!, gaps[i]!] as const),
    colour(0),
  );
  const onFrontier = new Set(best);
  points.forEach((p, i) => {
    chart.dot(p.error, p.unfairness, onFrontier.has(i) ? colour(0) : '#aaa', p.label);
  });
  return chart.svg();
}

/** Future gap against rho: |1 - rho| times the present gap in theory, dots where it was measured. */
export function futureGapPlot(present: number, measured: readonly { rho: number; gap: number }[]): string {
  const most = Math.max(1.2, ...measured.map((m) => m.rho));
  const top = Math.max(present, ...measured.map((m) => m.gap), present * Math.abs(1 - most));
  const chart = new Chart({
    ...SIZE,
    title: 'Future gap against rho',
    x: 'rho, the share of the gap to remove',
    y: 'future gap',
    xRange: [0, most],
    yRange: [0, top],
  });
  chart.line(
    Array.from({ length: 101 }, (_, i) => [(i * most) / 100, present * Math.abs(1 - (i * most) / 100)] as const),
    colour(0),
  );
  chart.line(
    [
      [0, present],
      [most, present],
    ],
    '#888',
    { dashed: true },
  );
  for (const { rho, gap } of measured) chart.dot(rho, gap, colour(1), `rho ${rho}: ${gap.toPrecision(4)}`);
  return chart
    .legend('|1 - rho| x present gap', colour(0))
    .legend('measured', colour(1))
    .legend('present gap', '#888', { dashed: true })
    .svg();
}

/** Intervals of the largest gaps over pairs, one line per metric that has an estimate. */
export function gapPlot(attribute: string, overall: readonly Measured[]): string {
  const list = overall.filter((m) => m.estimate !== null && m.low !== null && m.high !== null);
  const chart = new Chart({
    width: SIZE.width,
    height: 90 + 30 * list.length,
    title: `Largest gaps between groups of ${attribute}`,
    x: 'gap, with its interval',
    y: '',
    xRange: [0, Math.max(...list.map((m) => m.high!), 1e-12)],
    yRange: [-0.5, list.length + 0.2],
  });
  list.forEach((m, i) => {
    const at = list.length - 1 - i;
    chart.interval(m.low!, m.estimate!, m.high!, at, colour(0));
    chart.label(0, at + 0.15, m.threshold === undefined ? m.metric : `${m.metric} at ${m.threshold}`);
  });
  return chart.svg();
}
