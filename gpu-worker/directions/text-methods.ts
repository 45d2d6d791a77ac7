/** Directions between two sets of texts other than the difference of their means; each is of unit norm, towards the positive. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { joined } from '../../shared/math/joined.ts';
import { powerIteration } from '../../shared/math/power-iteration.ts';
import type { LanguageModel, TokenRows } from '../lm/index.ts';
import { trainProbe } from '../sae/index.ts';
import { activationBlocks, meanOfRows, unitVector } from './difference-in-means.ts';
import { difference, dot, norm } from './vectors.ts';

type Texts = Record<'positive' | 'negative', TokenRows>;
type Positions = 'all' | 'last';

/** Enough for variances along the first two components that differ by half a hundredth. */
const [ROUNDS, TOLERANCE] = [2000, 1e-6];

/**
 * The first principal component of all rows about their mean, by power iteration in float64 from the difference of the two
 * means, whose side it takes. @throws SextantError `data_invalid` where nothing varies, `not_converged` where the rows vary
 * as much along another direction
 */
export async function principalComponent(
  model: LanguageModel,
  hook: string,
  texts: Texts,
  positions: Positions,
): Promise<Float32Array> {
  const positive = await activationBlocks(model, hook, texts.positive, positions);
  const negative = await activationBlocks(model, hook, texts.negative, positions);
  const { width } = positive;
  const blocks = [...positive.blocks, ...negative.blocks];
  const { mean } = meanOfRows(blocks, width);
  const [above, below] = [meanOfRows(positive.blocks, width).mean, meanOfRows(negative.blocks, width).mean];
  const towards = difference(above, below);
  return unitVector(firstComponent(blocks, width, mean, towards));
}

/** The first principal component of rows [n, width] about `mean`, on the side of `towards`. As `principalComponent` raises. */
export function firstComponent(
  blocks: readonly Float32Array[],
  width: number,
  mean: ArrayLike<number>,
  towards: Float64Array,
): Float64Array {
  const covariance = (v: Float64Array): Float64Array => {
    const next = new Float64Array(width);
    for (const x of blocks) {
      for (let row = 0; row < x.length; row += width) {
        let along = 0;
        for (let i = 0; i < width; i++) {
          along += (x[row + i]! - mean[i]!) * v[i]!;
        }
        for (let i = 0; i < width; i++) {
          next[i]! += along * (x[row + i]! - mean[i]!);
        }
      }
    }
    return next;
  };
  // What no row has along the difference would never be found: a little of every coordinate is mixed in.
  const start = towards.map((value, i) => value + 1e-3 * (norm(towards) || 1) * Math.cos(i));
  const { vector, value, settled } = powerIteration(covariance, start, { rounds: ROUNDS, tolerance: TOLERANCE });
  if (!(value > 0)) {
    throw new SextantError('data_invalid', 'the activations do not vary: there is no principal component');
  }
  if (!settled) {
    throw new SextantError(
      'not_converged',
      'the activations vary as much along a second direction as along the first, so there is no one principal component; give more texts, or take the difference in means',
    );
  }
  return dot(vector, towards) < 0 ? vector.map((x) => -x) : vector;
}

/**
 * The mean of the differences within pairs of texts, each brought to unit norm so that no pair counts more than another.
 * @throws SextantError `data_invalid` where the sets are not of one size, or a pair does not differ
 */
export async function contrastivePairs(
  model: LanguageModel,
  hook: string,
  { positive, negative }: Texts,
  positions: Positions,
): Promise<Float32Array> {
  if (positive.length !== negative.length) {
    const detail = `${positive.length} positive and ${negative.length} negative texts: pairs need as many of each`;
    throw new SextantError('data_invalid', detail);
  }
  let sum: Float64Array | null = null;
  for (const [i, text] of positive.entries()) {
    const [one, other] = [
      await activationBlocks(model, hook, [text], positions),
      await activationBlocks(model, hook, [negative[i]!], positions),
    ];
    const [to, from] = [meanOfRows(one.blocks, one.width).mean, meanOfRows(other.blocks, one.width).mean];
    const unit = unitVector(difference(to, from));
    sum = (sum ?? new Float64Array(one.width)).map((value, j) => value + unit[j]!);
  }
  return unitVector(sum ?? []);
}

/** The weights of a logistic probe that tells the rows of the two sets apart, on standardised columns. */
export async function logisticProbe(
  model: LanguageModel,
  hook: string,
  texts: Texts,
  positions: Positions,
): Promise<Float32Array> {
  const positive = await activationBlocks(model, hook, texts.positive, positions);
  const negative = await activationBlocks(model, hook, texts.negative, positions);
  const rowsOf = (blocks: readonly Float32Array[]) => blocks.reduce((sum, x) => sum + x.length / positive.width, 0);
  const y = [...Array(rowsOf(positive.blocks)).fill(1), ...Array(rowsOf(negative.blocks)).fill(0)] as number[];
  const x = Float64Array.from(joined([...positive.blocks, ...negative.blocks]));
  return unitVector(trainProbe(x, positive.width, y, [...y.keys()]).weights);
}
