/** The report of a study, and its pictures: loss recovered against share, survival of latents, and what drifted. */
import { chart } from '../../../shared/plots/chart.ts';
import type { StudyReport } from '../../study/index.ts';
import type { LatentDrift } from '../autoencoders/latent-drift.ts';
import type { VariantScores } from '../autoencoders/sae-variants.ts';
import type { Plot } from './compression-plots.ts';

type RecoveredPoint = { share: number; recovered: number | null; low: number | null; high: number | null };

/** One line for each compressed copy: the autoencoder as it is (share 0) and pruned. */
const recoveredPlot = (lines: readonly { label: string; points: readonly RecoveredPoint[] }[]): Plot => ({
  name: 'loss-recovered',
  svg: chart({
    title: 'Loss recovered by the pruned autoencoder',
    note: 'on the compressed model, with its 95 % interval over sequences; share 0 is the autoencoder as it was',
    x: { label: 'share of the weights set to zero' },
    y: { label: 'loss recovered' },
    series: lines.map(({ label, points }) => ({
      as: 'line' as const,
      name: label,
      points: points
        .filter(({ recovered }) => recovered !== null)
        .map(({ share, recovered, low, high }) => ({
          x: share,
          y: recovered!,
          ...(low !== null && high !== null && { low, high }),
        })),
    })),
  }),
});

const survivalPlot = (lines: readonly { label: string; drift: LatentDrift }[]): Plot => ({
  name: 'latent-survival',
  svg: chart({
    title: 'Survival of latents',
    note: 'correlation of each code on the compressed with that on the dense activations, falling',
    x: { label: 'share of the latents' },
    y: { label: 'Pearson correlation', range: [-1, 1] },
    series: lines.map(({ label, drift }) => ({
      as: 'line' as const,
      name: label,
      points: drift.correlations.map((y, i) => ({ x: (i + 0.5) / drift.correlations.length, y })),
    })),
    rules: [{ along: 'y', at: 0.9, name: 'survives' }],
  }),
});

/** The drift list of one copy: a row for each latent, its correlation as a bar. */
function driftPlot(label: string, { drifted }: LatentDrift, index: number): Plot {
  const names = drifted.map(({ latent, fate, taken_over_by: by, tokens_before: before, tokens_after: after }) => {
    const tokens = (list: readonly string[]) => (list.length > 0 ? list.slice(0, 3).map(visible).join(' ') : '-');
    return `${latent} ${fate}${by === null ? '' : `, now ${by}`}: ${tokens(before)} | ${tokens(after)}`;
  });
  return {
    name: `drift-${index}`,
    svg: chart({
      title: `Latents that drifted most: ${label}`,
      note: 'top tokens before | after; correlation with its own code before',
      x: { label: 'Pearson correlation' },
      y: { label: 'latent', names },
      series: [{ as: 'bars', points: drifted.map(({ correlation }, i) => ({ x: correlation, y: i })) }],
    }),
  };
}

/** Spaces and line ends as they can be seen. */
const visible = (text: string): string => text.replaceAll(' ', '_').replaceAll('\n', '\\n');

/** The transferred autoencoder as share 0, and the pruned ones. */
const sharesOf = (variants: readonly VariantScores[]): RecoveredPoint[] =>
  variants
    .filter(({ variant }) => variant === 'transferred' || variant === 'pruned')
    .map(({ share, loss_recovered, low, high }) => ({ share: share ?? 0, recovered: loss_recovered, low, high }));

/** The report of a study: what was measured, the survival of each copy's latents, and pictures of both. */
export const studyReport = (
  measured: Record<string, unknown> & { copies: readonly { label: string; variants: readonly VariantScores[] }[] },
  drifts: readonly { label: string; drift: LatentDrift }[],
): StudyReport => ({
  kind: 'compression_study',
  body: { ...measured, survival_curves: drifts.map(({ label, drift }) => ({ label, r: drift.correlations })) },
  plots: [
    recoveredPlot(measured.copies.map(({ label, variants }) => ({ label, points: sharesOf(variants) }))),
    survivalPlot(drifts),
    ...drifts.map(({ label, drift }, i) => driftPlot(label, drift, i)),
  ],
});
