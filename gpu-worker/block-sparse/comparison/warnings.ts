/** What a comparison has to admit: before it begins, of the shapes; after it, of the figures. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { layerCounts } from '../counts/counts.ts';
import { gridOf, requireGrid, type Tile } from '../tiles/tiles.ts';
import type { LinearShape } from '../training/model.ts';
import { sparseLayers } from '../training/model.ts';
import type { PointFigures } from './measure.ts';
import type { Plan } from './points.ts';

/** From this share of the tile's smaller side on, the bench found no training step of a layer faster than a dense one. */
const BREAK_EVEN = 0.5;

/**
 * @returns warnings of rank and tile sizes, and the layers that no tile divides
 * @throws SextantError `validation_failed` where a tile divides no layer, with the nearest sizes for the first
 */
export function checkShapes(
  shapes: readonly LinearShape[],
  { tiles, rank, methods }: Pick<Plan, 'tiles' | 'rank' | 'methods'>,
) {
  const [first] = shapes;
  if (!first) {
    throw new SextantError('validation_failed', 'no layer matches: there is none to be made sparse');
  }
  const warnings: string[] = [];
  for (const tile of tiles) {
    const layers = sparseLayers(shapes, tile);
    if (layers.length === 0) {
      requireGrid(first.name, first.inputs, first.outputs, tile);
    }
    const factored = methods.some((method) => method.startsWith('kpd') || method === 'size_search');
    if (factored) {
      for (const layer of layers) {
        warnings.push(...rankWarnings(layer, tile, rank));
      }
    }
  }
  const leftDense = shapes.filter(({ inputs, outputs }) =>
    tiles.every((tile) => inputs % tile[0] !== 0 || outputs % tile[1] !== 0),
  );
  if (leftDense.length > 0) {
    warnings.push(`left dense, since no tile divides them: ${leftDense.map(({ name }) => name).join(', ')}`);
  }
  return { warnings, leftDense: leftDense.map(({ name }) => name) };
}

function rankWarnings({ name, inputs, outputs }: Omit<LinearShape, 'rows'>, tile: Tile, rank: number): string[] {
  const [m, n] = tile;
  const what = `${name}, tiles ${m} x ${n}, rank ${rank}`;
  const counts = layerCounts(gridOf(inputs, outputs, tile), rank);
  const found: string[] = [];
  if (rank >= m * n) {
    found.push(`${what}: dense in disguise, since so many terms span every matrix`);
  }
  if (counts.parameters >= counts.denseParameters) {
    found.push(`${what}: ${counts.parameters} trained numbers, ${counts.denseParameters} dense: none saved`);
  }
  if (counts.macs >= counts.denseMacs) {
    found.push(`${what}: ${counts.macs} multiply-adds per row, ${counts.denseMacs} dense: no operations saved`);
  } else if (rank >= BREAK_EVEN * Math.min(m, n)) {
    found.push(`${what}: at half the tile's side or above no training time is saved, although operations are`);
  }
  return found;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** What the figures themselves make necessary to say. */
export function figureWarnings(all: readonly PointFigures[]): string[] {
  const stopped = all.flatMap(({ point, stopped: end }) => {
    if (!end) {
      return [];
    }
    const what = `${point.method}, ${point.lambda === null ? '' : `lambda ${point.lambda}, `}seed ${point.seed}`;
    if (end.layer === null) {
      return [`${what}: the loss stopped being a number before step ${end.step}; a lower learning rate is needed`];
    }
    return [
      `${what}: stopped before step ${end.step}, which would have emptied layer '${end.layer}'; the last good state counts`,
    ];
  });
  const searches = all.flatMap(({ point, survivingTiles }) =>
    Object.entries(survivingTiles ?? {}).map(([layer, tiles]) =>
      tiles.length === 1
        ? `search, seed ${point.seed}: ${layer} keeps tiles of ${tiles[0]!.join(' x ')} alone`
        : `search, seed ${point.seed}: no size found for ${layer}, ${tiles.length === 0 ? 'none is' : `${tiles.map((tile) => tile.join(' x ')).join(', ')} are`} left`,
    ),
  );
  const dense = all.find(({ zeroShare, point }) => zeroShare === 0 && point.method === 'dense');
  const counter = dense
    ? [
        `a counter that tests weights for being below 1e-4 without their magnitude finds ${percent(dense.signedTestShare)} zeros in the dense model, which has none`,
      ]
    : [];
  return [...stopped, ...searches, ...counter];
}
