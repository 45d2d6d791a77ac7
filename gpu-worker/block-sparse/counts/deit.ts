/** Parameters of DeiT-tiny (224 px, patches of 16, 100 classes), the published models' yardstick. */

import { divides, gridOf, type Tile } from '../tiles/tiles.ts';
import { layerCounts } from './counts.ts';

const [WIDTH, LAYERS, PATCH, CHANNELS, POSITIONS, CLASSES] = [192, 12, 16, 3, 14 * 14 + 1, 100] as const;
const BLOCK_LAYERS = [
  [WIDTH, 3 * WIDTH],
  [WIDTH, WIDTH],
  [WIDTH, 4 * WIDTH],
  [4 * WIDTH, WIDTH],
] as const;

/** With qkv, proj, fc1, fc2 and, where the tile divides it, the head as Kronecker layers of `rank` terms; null: dense. */
export function deitTinyParameters(kronecker: { tile: Tile; rank: number } | null): number {
  const weight = (inputs: number, outputs: number): number =>
    kronecker && divides(inputs, outputs, kronecker.tile)
      ? layerCounts(gridOf(inputs, outputs, kronecker.tile), kronecker.rank).parameters
      : inputs * outputs;
  const linear = (inputs: number, outputs: number): number => weight(inputs, outputs) + outputs;
  const norm = 2 * WIDTH;
  const embedding = CHANNELS * PATCH ** 2 * WIDTH + WIDTH + WIDTH + POSITIONS * WIDTH;
  const block = 2 * norm + BLOCK_LAYERS.reduce((sum, [inputs, outputs]) => sum + linear(inputs, outputs), 0);
  return embedding + LAYERS * block + norm + linear(WIDTH, CLASSES);
}
