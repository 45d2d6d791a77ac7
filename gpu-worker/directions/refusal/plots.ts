/** Pictures of a refusal study and of a repair. */
import { chart } from '../../../shared/plots/chart.ts';
import { heatMap } from '../../../shared/plots/heat-map.ts';
import type { ScoredCandidate } from './candidate-scores.ts';
import type { Source } from './candidates.ts';

type Plot = { name: string; svg: string };

/** Bypass and induce of every candidate by layer and position. */
export function candidatePlots(scored: readonly ScoredCandidate[], chosen: Source, label: string): Plot[] {
  const positions = [...new Set(scored.map(({ position }) => position))];
  const layers = [...new Set(scored.map(({ layer }) => layer))];
  const at = (position: number, layer: number) =>
    scored.find((candidate) => candidate.position === position && candidate.layer === layer)!;
  const marked = {
    cells: [{ row: positions.indexOf(chosen.position), column: layers.indexOf(chosen.layer) }],
    name: 'selected',
  };
  return (['bypass', 'induce'] as const).map((measure) => ({
    name: `${measure}-${label}`,
    svg: heatMap({
      title: `${measure === 'bypass' ? 'Refusal of harmful prompts, direction ablated' : 'Refusal of harmless prompts, direction added'}: ${label}`,
      note: 'mean log-odds of the refusal tokens; crossed out: the two means are equal',
      columns: { label: 'block that the stream enters', names: layers.map(String) },
      rows: { label: 'position', names: positions.map(String) },
      values: positions.map((position) =>
        layers.map((layer) => {
          const { empty, [measure]: value } = at(position, layer);
          return empty ? null : value;
        }),
      ),
      value: 'refusal score',
      chosen: marked,
    }),
  }));
}

type CopyLine = { label: string; cosine: number; split_half: { mean: number; low: number }; norm_ratio: number };

/** Cosine with the base's direction beside the floor that noise sets. */
export const cosinePlot = (copies: readonly CopyLine[]): Plot => ({
  name: 'cosine-by-copy',
  svg: chart({
    title: "Direction of each copy beside the base's",
    note: "floor: cosine of halves of the prompts inside the copy, with its 2.5 % quantile; only below it a copy's direction moved",
    x: { label: 'copy', names: copies.map(({ label }) => label) },
    y: { label: 'cosine, norm ratio' },
    series: [
      { as: 'points', name: 'cosine with the base', points: copies.map(({ cosine: y }, x) => ({ x, y })) },
      {
        as: 'points',
        name: 'floor inside the copy',
        points: copies.map(({ split_half: { mean, low } }, x) => ({ x, y: mean, low, high: mean })),
      },
      { as: 'points', name: 'norm ratio', points: copies.map(({ norm_ratio: y }, x) => ({ x, y })) },
    ],
  }),
});

type RepairLine = { block: number; alpha: number; refusal: number; over_refusal: number; kl: number };

/** Refusal, over-refusal and divergence against alpha. */
export const repairPlots = (
  points: readonly RepairLine[],
  chosen: RepairLine | null,
  band: { low: number; high: number },
): Plot[] => {
  const blocks = [...new Set(points.map(({ block }) => block))];
  const lines = (of: (point: RepairLine) => number) =>
    blocks.map((block) => ({
      as: 'line' as const,
      name: `block ${block}`,
      points: points.filter((point) => point.block === block).map((point) => ({ x: point.alpha, y: of(point) })),
    }));
  return [
    {
      name: 'refusal-by-alpha',
      svg: chart({
        title: 'Refusal of harmful prompts against alpha',
        x: { label: 'alpha' },
        y: { label: 'share refused', range: [0, 1] },
        series: lines(({ refusal }) => refusal),
        rules: [
          { along: 'y', at: band.low, name: 'central 95 % of random directions' },
          { along: 'y', at: band.high },
        ],
        ...(chosen && { chosen: { x: chosen.alpha, y: chosen.refusal, name: 'chosen' } }),
      }),
    },
    {
      name: 'over-refusal-by-alpha',
      svg: chart({
        title: 'Refusal of harmless prompts against alpha',
        x: { label: 'alpha' },
        y: { label: 'share refused', range: [0, 1] },
        series: lines(({ over_refusal }) => over_refusal),
      }),
    },
    {
      name: 'kl-by-alpha',
      svg: chart({
        title: 'Divergence from the unrepaired copy against alpha',
        x: { label: 'alpha' },
        y: { label: 'KL on harmless prompts, nats' },
        series: lines(({ kl }) => kl),
      }),
    },
  ];
};
