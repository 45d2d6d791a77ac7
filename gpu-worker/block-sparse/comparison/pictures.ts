/** Pictures of a comparison: the zero tiles of every layer as a grid, and the frontier with all methods. */
import { chart } from '../../../shared/plots/chart.ts';
import { heatMap } from '../../../shared/plots/heat-map.ts';
import type { LinearLayer } from '../methods/method.ts';
import { liveTiles } from '../tiles/tiles.ts';
import { groupedBy, type Measured, settingKey, spread } from './frontier.ts';
import type { PointModel } from './measure.ts';

/** Cells that a picture has at most along an axis; larger grids are shown in groups of tiles. */
const CELLS = 64;

/** Norms would hide the difference between small and zero: a cell is the share of its tiles that are exactly zero. */
function tileGrid(layer: LinearLayer, weight: ArrayLike<number>): string {
  const { p, q, m, n } = layer.grid;
  const live = liveTiles(weight, layer.grid);
  const [down, across] = [Math.ceil(p / CELLS), Math.ceil(q / CELLS)];
  const [rows, columns] = [Math.ceil(p / down), Math.ceil(q / across)];
  const share = (row: number, column: number): number => {
    let [zero, all] = [0, 0];
    for (let a = row * down; a < Math.min(p, (row + 1) * down); a++) {
      for (let c = column * across; c < Math.min(q, (column + 1) * across); c++) {
        zero += 1 - live[a * q + c]!;
        all += 1;
      }
    }
    return zero / all;
  };
  const zero = live.reduce((sum, alive) => sum + 1 - alive, 0);
  const grouped = down * across > 1 ? `; a cell is ${down} x ${across} tiles` : '';
  return heatMap({
    title: `Zero tiles of ${layer.name}`,
    note: `${zero} of ${p * q} tiles of ${m} x ${n} are exactly zero${grouped}`,
    columns: { label: 'outputs', names: Array.from({ length: columns }, (_, i) => String(i * across * n)) },
    rows: { label: 'inputs', names: Array.from({ length: rows }, (_, i) => String(i * down * m)) },
    values: Array.from({ length: rows }, (_, row) =>
      Array.from({ length: columns }, (_, column) => share(row, column)),
    ),
    value: 'share of zero tiles',
    colours: 'sequential',
    range: [0, 1],
  });
}

export const tilePictures = ({ layers, states }: PointModel): { name: string; svg: string }[] =>
  layers.map((layer, i) => ({ name: `tiles-${i}`, svg: tileGrid(layer, states.get(layer.name)?.weight ?? []) }));

/** Mean and range over seeds of every setting, one line for each method and tile. */
export function frontierPicture(
  all: readonly Measured[],
  { label, chosen }: { label: string; chosen?: Measured },
): string {
  const settings = groupedBy(all, ({ point }) => settingKey(point)).map((group) => ({
    point: group[0]!.point,
    x: spread(group.map(({ zeroShare }) => 100 * zeroShare)),
    y: spread(group.map(({ score }) => score)),
  }));
  const lines = groupedBy(settings, ({ point }) => JSON.stringify([point.method, point.tile]));
  const several = new Set(all.map(({ point }) => point.tile.join())).size > 1;
  return chart({
    title: 'What zero tiles cost',
    note: `mean and range over ${new Set(all.map(({ point }) => point.seed)).size} seeds`,
    x: { label: 'tiles that are exactly zero, %' },
    y: { label },
    series: lines.map((line) => {
      const { method, tile } = line[0]!.point;
      return {
        as: line.length > 1 ? ('line' as const) : ('points' as const),
        name: several && method !== 'dense' ? `${method} ${tile.join(' x ')}` : method,
        points: [...line]
          .sort((a, b) => a.x.mean - b.x.mean)
          .map(({ x, y }) => ({ x: x.mean, y: y.mean, low: y.minimum, high: y.maximum })),
      };
    }),
    ...(chosen && { chosen: { x: 100 * chosen.zeroShare, y: chosen.score, name: 'chosen' } }),
  });
}
