/** The density histogram of a sparse autoencoder as a chart. */
import { chart } from '../../../shared/plots/chart.ts';

/** Bars over log10 of the share of tokens on which a latent fires; latents that never fire are named in the note. */
export function densitySvg(title: string, histogram: { edges: number[]; counts: number[]; dead: number }): string {
  const { edges, counts, dead } = histogram;
  return chart({
    title,
    note: `${dead} never fire`,
    x: { label: 'share of tokens on which a latent fires', scale: 'log' },
    y: { label: 'latents' },
    series: [{ as: 'bins', edges: edges.map((edge) => 10 ** edge), counts }],
  });
}
