/** What a layer sweep measured, in the names of the job's contract. */
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/fairness.edit_layer.ts';
import type { GapMetrics } from './gap-metrics.ts';
import type { LayerSweep, Part, SweepPoint } from './layer-sweep.ts';

type Result = ResultOf<typeof contract>;
type Metrics = Result['points'][number]['test'];

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** Names of the groups that lack rows in a part: at least two are needed to tell a variance. */
function reasonFor(levels: readonly string[], { groupIds }: Part): string {
  const few = levels.filter((_, g) => groupIds.reduce((sum, id) => sum + Number(id === g), 0) < 2);
  return `too few rows of ${few.map((level) => `"${level}"`).join(', ')} in this part; a larger share of rows helps`;
}

const metricsOf = (m: GapMetrics, levels: readonly string[], part: Part): Metrics => {
  const gaps = { ks: finite(m.ks), w1: finite(m.w1), mean_gap: finite(m.meanGap), variance_gap: finite(m.varianceGap) };
  const reason = Object.values(gaps).includes(null) ? reasonFor(levels, part) : null;
  return { mse: m.mse, mae: m.mae, ...gaps, reason };
};

/** Every point, and what its reader must be told. */
export function sweepReport(
  { points, frontier, chosen }: LayerSweep,
  levels: readonly string[],
  parts: { validation: Part; test: Part },
): Pick<Result, 'points' | 'frontier' | 'chosen' | 'corrected' | 'warnings'> {
  const published = points[chosen];
  if (!published) {
    throw new RangeError('a sweep has at least the network as it is');
  }
  const errorOf = (method: string): number => points.find((p) => p.method === method)?.test.mse ?? Number.NaN;
  const compared = (['mean of the target', 'ridge regression'] as const).filter(
    (method) => published.test.mse > errorOf(method),
  );
  const corrected = published.method !== 'none';
  return {
    points: points.map((point) => ({
      method: point.method,
      c1: point.settings?.c1 ?? null,
      c2: point.settings?.c2 ?? null,
      refit: point.settings?.refit ?? null,
      validation: metricsOf(point.validation, levels, parts.validation),
      test: metricsOf(point.test, levels, parts.test),
    })),
    frontier,
    chosen,
    corrected,
    warnings: [
      ...(corrected
        ? []
        : [
            {
              code: 'not_corrected' as const,
              detail: 'no setting within the error allowance was fairer than the network',
            },
          ]),
      ...compared.map((method) => ({
        code: method === 'ridge regression' ? ('worse_than_ridge' as const) : ('worse_than_mean' as const),
        detail: `the published predictor's error on test rows is ${published.test.mse}, that of ${method === 'ridge regression' ? 'a ridge regression' : 'the mean'} ${errorOf(method)}`,
      })),
    ],
  };
}

/** How a point is called where it is drawn. */
export const pointLabel = ({ method, settings }: SweepPoint): string =>
  settings ? `c1 = ${settings.c1}, c2 = ${settings.c2}` : method;
