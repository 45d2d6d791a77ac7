/** Figures of a block-sparse comparison under the names of its contract. */
import type { z } from 'zod';
import type { frontierSchema, pointFiguresSchema } from '../../../shared/contracts/block-sparse.ts';
import type { frontierOf } from '../../block-sparse/comparison.ts';
import type { PointFigures } from '../../block-sparse/measure.ts';

type Stated = z.output<typeof pointFiguresSchema>;

export const statedFigures = (f: PointFigures): Stated => ({
  point: { ...f.point, tile: [...f.point.tile] },
  lambda_share: f.lambdaShare,
  validation: f.validation,
  test: f.test,
  layers: f.layers,
  zero_share: f.zeroShare,
  signed_test_share: f.signedTestShare,
  parameters: f.parameters,
  macs: f.macs,
  seconds: f.seconds,
  stopped: f.stopped,
  curve: [...f.curve],
  surviving_tiles:
    f.survivingTiles &&
    Object.fromEntries(
      Object.entries(f.survivingTiles).map(([layer, tiles]) => [
        layer,
        tiles.map(([m, n]): [number, number] => [m, n]),
      ]),
    ),
});

export const figuresOfStated = (s: Stated): PointFigures => ({
  point: s.point,
  lambdaShare: s.lambda_share,
  validation: s.validation,
  test: s.test,
  layers: s.layers,
  zeroShare: s.zero_share,
  signedTestShare: s.signed_test_share,
  parameters: s.parameters,
  macs: s.macs,
  seconds: s.seconds,
  stopped: s.stopped,
  curve: s.curve,
  survivingTiles: s.surviving_tiles,
});

export const statedFrontier = (entries: ReturnType<typeof frontierOf>): z.output<typeof frontierSchema> =>
  entries.map(({ tile, zeroShare, trainingMacs, inferenceMacs, ...rest }) => ({
    ...rest,
    tile: [...tile],
    zero_share: zeroShare,
    training_macs: trainingMacs,
    inference_macs: inferenceMacs,
  }));
