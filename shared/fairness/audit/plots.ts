/** The plots of an audit: distributions before and after, the frontier of a sweep, the future gap against rho. */

import { quantile } from '../../math/quantile.ts';
import { chart } from '../../plots/chart.ts';
import type { ReliabilityBin } from './calibration.ts';
import type { Grouping } from './groups.ts';
import type { Measured } from './measured.ts';

const MOST_GROUPS = 7;

/** Distribution functions of the scores by group; dashed lines are the scores before the correction. */
export function distributionPlot(
  { name, groupIds, levels }: Grouping,
  after: Float64Array,
  before?: Float64Array,
): string {
  const all = before ? [after, before] : [after];
  const series = levels.slice(0, MOST_GROUPS).flatMap((level, g) =>
    all.flatMap((scores, k) => {
      const own = scores.filter((_, i) => groupIds[i] === g).sort();
      const steps = Math.min(200, own.length);
      const points = Array.from({ length: own.length > 0 ? steps + 1 : 0 }, (_, i) => ({
        x: quantile(own, i / steps, 'hazen'),
        y: i / steps,
      }));
      return { as: 'line' as const, points, colour: g, ...(k === 0 ? { name: level } : { dashed: true }) };
    }),
  );
  const key = before
    ? [{ as: 'line' as const, name: 'before', points: [], colour: 'muted' as const, dashed: true }]
    : [];
  return chart({
    title: `Scores by ${name}`,
    ...(levels.length > MOST_GROUPS && { note: `the first ${MOST_GROUPS} of ${levels.length} groups` }),
    x: { label: 'score' },
    y: { label: 'share of the group at or below', range: [0, 1] },
    series: [...series, ...key],
  });
}

/** Reliability: share with the outcome against the mean score of every bin, by group, beside the diagonal of calibration. */
export function reliabilityPlot(
  attribute: string,
  groups: readonly { level: string; bins: readonly ReliabilityBin[] }[],
): string {
  const series = groups.slice(0, MOST_GROUPS).flatMap(({ level, bins }, g) => {
    const points = bins.flatMap(({ mean_score: x, observed: y, low, high, count }) =>
      x === null || y === null || low === null || high === null
        ? []
        : [
            {
              x,
              y,
              title: `${level}: ${count} rows, ${y.toPrecision(3)} [${low.toPrecision(3)}, ${high.toPrecision(3)}]`,
            },
          ],
    );
    return [
      { as: 'line' as const, points, colour: g, name: level },
      { as: 'points' as const, points, colour: g },
    ];
  });
  return chart({
    title: `Calibration by ${attribute}`,
    ...(groups.length > MOST_GROUPS && { note: `the first ${MOST_GROUPS} of ${groups.length} groups` }),
    x: { label: 'mean score of the bin', range: [0, 1] },
    y: { label: 'share with the outcome', range: [0, 1] },
    series: [
      {
        as: 'line',
        name: 'calibrated',
        colour: 'muted',
        dashed: true,
        points: [
          { x: 0, y: 0 },
          { x: 1, y: 1 },
        ],
      },
      ...series,
    ],
  });
}

type SweepPoint = { error: number; unfairness: number; label: string };

/** Every point of a sweep in (error, unfairness), with the undominated ones joined and the chosen one ringed. */
export function frontierPlot(points: readonly SweepPoint[], best: readonly number[], chosen?: number): string {
  const at = ({ error, unfairness: gap, label }: SweepPoint) => ({ x: error, y: gap, title: label });
  const pick = chosen === undefined ? undefined : points[chosen];
  const onFrontier = new Set(best);
  const frontier = points.filter((_, i) => onFrontier.has(i)).map(at);
  const dominated = points.filter((_, i) => !onFrontier.has(i)).map(at);
  return chart({
    title: 'Fairness against error',
    x: { label: 'mean squared error' },
    y: { label: 'KS distance between groups' },
    series: [
      { as: 'line', points: frontier.toSorted((a, b) => a.x - b.x), colour: 0 },
      { as: 'points', name: 'best of their error', points: frontier, colour: 0 },
      { as: 'points', name: 'worse in both', points: dominated, colour: 'muted' },
    ],
    ...(pick && { chosen: { ...at(pick), name: `chosen: ${pick.label}` } }),
  });
}

/** Future gap against rho: |1 - rho| times the present gap in theory, dots where it was measured. */
export function futureGapPlot(present: number, measured: readonly { rho: number; gap: number }[]): string {
  const most = Math.max(1.2, ...measured.map((m) => m.rho));
  const theory = Array.from({ length: 101 }, (_, i) => (i * most) / 100);
  return chart({
    title: 'Future gap against rho',
    x: { label: 'rho, the share of the gap to remove' },
    y: { label: 'future gap' },
    series: [
      { as: 'line', name: '|1 - rho| x present gap', points: theory.map((x) => ({ x, y: present * Math.abs(1 - x) })) },
      {
        as: 'points',
        name: 'measured',
        points: measured.map(({ rho, gap }) => ({ x: rho, y: gap, title: `rho ${rho}: ${gap.toPrecision(4)}` })),
      },
    ],
    rules: [{ along: 'y', at: present, name: 'present gap' }],
  });
}

/** Intervals of the largest gaps over pairs, one line per metric that has an estimate. */
export function gapPlot(attribute: string, overall: readonly Measured[]): string {
  const points = overall.flatMap(({ metric, threshold, estimate, low, high }) =>
    estimate === null || low === null || high === null
      ? []
      : [{ name: threshold === undefined ? metric : `${metric} at ${threshold}`, x: estimate, low, high }],
  );
  return chart({
    title: `Largest gaps between groups of ${attribute}`,
    x: { label: 'gap, with its interval' },
    y: { label: '', names: points.map(({ name }) => name) },
    series: [{ as: 'points', points: points.map((point, y) => ({ ...point, y })) }],
    rules: [{ along: 'x', at: 0 }],
  });
}
