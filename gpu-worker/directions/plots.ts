/** Pictures that both fields of directions use. */
import { chart } from '../../shared/plots/chart.ts';

const BINS = 24;

/** Where two kinds of states lie along a direction. */
export function projectionPlot(
  groups: Readonly<Record<string, ArrayLike<number>>>,
  label: string,
): { name: string; svg: string } {
  const all = Object.values(groups).flatMap((values) => Array.from(values));
  const low = all.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = all.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const span = high - low || 1;
  const edges = Array.from({ length: BINS + 1 }, (_, i) => low + (span * i) / BINS);
  const counts = (values: ArrayLike<number>) => {
    const found = new Array<number>(BINS).fill(0);
    for (const value of Array.from(values)) {
      found[Math.min(BINS - 1, Math.floor(((value - low) / span) * BINS))]! += 1;
    }
    return found;
  };
  return {
    name: `projections-${label}`,
    svg: chart({
      title: `Projection on the direction: ${label}`,
      x: { label: 'projection on the unit vector' },
      y: { label: 'states' },
      series: Object.entries(groups).map(([name, values]) => ({
        as: 'bins' as const,
        name,
        edges,
        counts: counts(values),
      })),
    }),
  };
}
