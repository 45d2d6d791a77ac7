/** Every way to make one network fair that is compared: the scalar head, the edited layer, and what needs the group. */
import { frontier } from '../../../shared/fairness/audit/frontier.ts';
import { applyBarycentre, fitBarycentre } from '../../../shared/fairness/barycentre.ts';
import { type DenseNetwork, forwardNetwork } from '../../../shared/fairness/predictors/network.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import type { Rows } from '../rows.ts';
import { type GapMetrics, gapMetrics } from './gap-metrics.ts';
import { type EditSettings, LayerEditor } from './layer-editing.ts';

/** Rows of one part with their group ids. */
export type Part = { rows: Rows; groupIds: Int32Array };
export type Parts = { train: Part; validation: Part; test: Part };
/** `network` is null for a baseline that is no predictor of the network's kind. */
export type SweepPoint = {
  method: string;
  settings: { c1: number; c2: number; refit: string } | null;
  network: DenseNetwork | null;
  validation: GapMetrics;
  test: GapMetrics;
};
export type LayerSweep = {
  points: SweepPoint[];
  /** Positions of the undominated points on validation, and of the one to publish. */
  frontier: number[];
  chosen: number;
  layer: number;
};
type SweepSettings = {
  layer: number | null;
  c1: readonly number[];
  c2: readonly number[];
  refit: EditSettings['refit'];
  covarianceAt: EditSettings['covarianceAt'];
  /** The chosen point's validation error grows by this share at most. */
  errorAllowance: number;
};

/** Shares of the mean gap that the scalar head is left with. */
const TAUS = [0.5, 0.25, 0];
const BASELINE_RIDGE = 1e-3;

const scoresOf = (network: DenseNetwork, { rows }: Part): Float64Array =>
  forwardNetwork(network, rows.x, rows.y.length);

/** Scores of the training rows' mean, and of a ridge regression on the features. */
function baselineScores({ rows: train }: Part): { method: string; of(part: Part): Float64Array }[] {
  const mean = train.y.reduce((sum, y) => sum + y, 0) / train.y.length;
  const { intercept, coefficients } = leastSquares(train.x, train.y, train.d, { ridge: BASELINE_RIDGE });
  return [
    { method: 'mean of the target', of: ({ rows }) => rows.y.map(() => mean) },
    {
      method: 'ridge regression',
      of: ({ rows: { x, y, d } }) =>
        y.map((_, i) => coefficients.reduce((sum, c, j) => sum + c * x[i * d + j]!, intercept)),
    },
  ];
}

/**
 * The fairest point on validation whose error is within the allowance of the unedited network's. Without a gap to close
 * (some part lacks a group) nothing is edited.
 */
function choose(points: readonly SweepPoint[], allowance: number): number {
  const base = points.findIndex(({ method }) => method === 'none');
  const limit = (points[base]?.validation.mse ?? 0) * (1 + allowance);
  const candidates = [...points.keys()].filter((i) => {
    const { network, validation } = points[i]!;
    return network && validation.mse <= limit && Number.isFinite(validation.ks);
  });
  return candidates.reduce((best, i) => (points[i]!.validation.ks < points[best]!.validation.ks ? i : best), base);
}

/** Measures all of them; `onEdit` is told after every edit of the layer. Raises `data_invalid` as `LayerEditor` does. */
export function sweepLayer(
  network: DenseNetwork,
  { train, validation, test }: Parts,
  groups: number,
  { layer, c1, c2, refit, covarianceAt, errorAllowance }: SweepSettings,
  onEdit: (done: number, of: number) => void,
): LayerSweep {
  const measure = (scores: Float64Array, { rows, groupIds }: Part) => gapMetrics(scores, rows.y, groupIds, groups);
  const scored = (method: string, of: (part: Part) => Float64Array): SweepPoint => ({
    method,
    settings: null,
    network: null,
    validation: measure(of(validation), validation),
    test: measure(of(test), test),
  });
  const edited = (method: string, net: DenseNetwork, settings: SweepPoint['settings'] = null): SweepPoint => ({
    ...scored(method, (part) => scoresOf(net, part)),
    settings,
    network: net,
  });
  const editor = new LayerEditor(network, layer ?? network.length - 2, train.rows, train.groupIds, groups);
  // The scalar head comes first: where there is a gap to close it has been ahead of the singular values.
  const points = [
    edited('none', network),
    ...TAUS.map((tau) => edited(`scalar_head tau=${tau}`, editor.scalarHead(tau))),
  ];
  const settings = c2.flatMap((b) => c1.map((a) => ({ c1: a, c2: b }))).filter(({ c1: a, c2: b }) => a > 1 || b > 1);
  for (const [at, setting] of settings.entries()) {
    const { network: net } = editor.edit({ ...setting, refit, ...(covarianceAt && { covarianceAt }) });
    points.push(edited('singular_values', net, { ...setting, refit }));
    onEdit(at + 1, settings.length);
  }
  const map = fitBarycentre(scoresOf(network, train), train.groupIds, groups);
  points.push(
    scored('barycentre with the true group', (part) => applyBarycentre(map, scoresOf(network, part), part.groupIds)),
    ...baselineScores(train).map(({ method, of }) => scored(method, of)),
  );
  const best = frontier(points.map((p) => ({ error: p.validation.mse, unfairness: p.validation.ks })));
  return { points, frontier: best, chosen: choose(points, errorAllowance), layer: editor.layer };
}
