/** Pictures of a reflection study. */
import { chart } from '../../../shared/plots/chart.ts';

type Plot = { name: string; svg: string };
type PlotPoint = { hook: string; mode: string; alpha: number; pass: number; length: number; frequency: number };

/** Accuracy against tokens, the Pareto set as a line. */
export const tradePlot = (points: readonly PlotPoint[], pareto: readonly PlotPoint[], chosen: PlotPoint): Plot => ({
  name: 'accuracy-by-tokens',
  svg: chart({
    title: 'Accuracy against tokens',
    note: 'every steered point on the validation problems; the line is what no other point beats in both',
    x: { label: 'mean tokens of an answer' },
    y: { label: 'share answered rightly' },
    series: [
      {
        as: 'points',
        name: 'steered',
        points: points.map(({ length, pass, hook, mode, alpha }) => ({
          x: length,
          y: pass,
          title: `${hook} ${mode} ${alpha}`,
        })),
      },
      { as: 'line', name: 'Pareto set', points: pareto.map(({ length, pass }) => ({ x: length, y: pass })) },
    ],
    chosen: { x: chosen.length, y: chosen.pass, name: `chosen: ${chosen.hook} ${chosen.mode} ${chosen.alpha}` },
  }),
});

export function frequencyPlot(points: readonly PlotPoint[]): Plot {
  const lines = [...new Set(points.map(({ hook, mode }) => `${hook} ${mode}`))];
  return {
    name: 'frequency-by-alpha',
    svg: chart({
      title: 'Answers that reflect against strength',
      x: { label: 'alpha' },
      y: { label: 'share of answers', range: [0, 1] },
      series: lines.map((name) => ({
        as: 'line' as const,
        name,
        points: points
          .filter(({ hook, mode }) => `${hook} ${mode}` === name)
          .sort((a, b) => a.alpha - b.alpha)
          .map(({ alpha, frequency }) => ({ x: alpha, y: frequency })),
      })),
    }),
  };
}

export const aucPlot = (
  layers: readonly { hook: string; auc: Record<string, number>; base_auc: number | null }[],
): Plot => ({
  name: 'separation-by-layer',
  svg: chart({
    title: 'States before a reflection against others',
    note: 'held-out area under the curve',
    x: { label: 'hook', names: layers.map(({ hook }) => hook) },
    y: { label: 'area', range: [0, 1] },
    series: [
      ...Object.keys(layers[0]?.auc ?? {}).map((estimator) => ({
        as: 'line' as const,
        name: estimator,
        points: layers.map(({ auc }, x) => ({ x, y: auc[estimator]! })),
      })),
      {
        as: 'line' as const,
        name: 'base model',
        points: layers.flatMap(({ base_auc }, x) => (base_auc === null ? [] : [{ x, y: base_auc }])),
      },
    ],
    rules: [{ along: 'y', at: 0.5, name: 'chance' }],
  }),
});
