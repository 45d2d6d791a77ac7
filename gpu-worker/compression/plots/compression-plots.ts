/** Pictures of what a compression did to the stream and to each matrix. */
import { chart } from '../../../shared/plots/chart.ts';
import type { BlockReport } from '../report.ts';

type LayerError = { layer: number; stream_error: number; arisen: number };
export type Plot = { name: string; svg: string };

/** Error of the stream by layer: what arose in the layer, and what came in with its input, stacked. */
export function layerErrorPlot(layers: readonly LayerError[], title: string): Plot {
  const names = layers.map(({ layer }) => String(layer));
  const svg = chart({
    title,
    note: 'squared error of the stream that leaves a layer over its square; inherited: what arose before it',
    x: { label: 'layer', names },
    y: { label: 'relative squared error' },
    series: [
      {
        as: 'bars',
        name: 'arisen in the layer',
        points: layers.map(({ arisen, stream_error }, x) => ({ x, y: Math.min(arisen, stream_error) })),
      },
      {
        as: 'bars',
        name: 'inherited',
        points: layers.map(({ arisen, stream_error }, x) => ({ x, y: Math.max(0, stream_error - arisen) })),
      },
    ],
    stacked: true,
  });
  return { name: 'error-by-layer', svg };
}

export function compressionPlots(blocks: readonly BlockReport[], title: string): Plot[] {
  const matrices = blocks.flatMap(({ layer, matrices: own }) => own.map((matrix) => ({ ...matrix, layer })));
  const kinds = [...new Set(matrices.map(({ name }) => kindOf(name)))];
  return [
    layerErrorPlot(blocks, `Error by layer: ${title}`),
    {
      name: 'matrix-errors',
      svg: chart({
        title: `Output error of each matrix: ${title}`,
        note: 'squared error of its outputs over their square, held-out text',
        x: { label: 'layer' },
        y: { label: 'relative error', scale: 'log' },
        series: kinds.map((kind) => ({
          as: 'line' as const,
          name: kind,
          points: matrices
            .filter(({ name }) => kindOf(name) === kind)
            .map(({ layer, relative_error, name }) => ({ x: layer, y: relative_error, title: name })),
        })),
      }),
    },
  ];
}

/** Which of a block's matrices a name means, such as `mlp.down_proj`. */
const kindOf = (name: string): string => name.replace(/^.*\.\d+\./, '').replace(/\.weight$/, '');
