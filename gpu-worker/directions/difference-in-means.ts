/** Directions from two sets of texts: the difference of their mean activations. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { activations, groups, type LanguageModel, type TokenRows } from '../lm/index.ts';

type MeanActivation = {
  mean: Float64Array;
  /** Mean Euclidean norm of a token. */
  norm: number;
  tokens: number;
};

/** Sequences per forward pass. */
const PASS = 16;

/** Mean over rows x width activations, in float64. @throws SextantError `data_invalid` for no rows */
export function meanOfRows(blocks: Iterable<Float32Array>, width: number): MeanActivation {
  const mean = new Float64Array(width);
  let [tokens, norms] = [0, 0];
  for (const x of blocks) {
    for (let row = 0; row < x.length; row += width) {
      let square = 0;
      for (let i = 0; i < width; i++) {
        mean[i]! += x[row + i]!;
        square += x[row + i]! ** 2;
      }
      norms += Math.sqrt(square);
      tokens += 1;
    }
  }
  if (tokens === 0) {
    throw new SextantError('data_invalid', 'no activations to average');
  }
  return { mean: mean.map((sum) => sum / tokens), norm: norms / tokens, tokens };
}

/**
 * Mean activation at a hook over all tokens of the sequences but special ones, or over each sequence's last.
 * @throws SextantError `hook_unknown`, `data_invalid`, `not_finite`
 */
export async function meanActivation(
  model: LanguageModel,
  hook: string,
  sequences: TokenRows,
  { positions = 'all' }: { positions?: 'all' | 'last' } = {},
): Promise<MeanActivation> {
  const { blocks, width } = await activationBlocks(model, hook, sequences, positions);
  return meanOfRows(blocks, width);
}

/** The activations themselves, rows x width in each block, the sequences in their order. @throws SextantError likewise */
export async function activationBlocks(
  model: LanguageModel,
  hook: string,
  sequences: TokenRows,
  positions: 'all' | 'last',
): Promise<{ blocks: Float32Array[]; width: number }> {
  const width = model.widthAt(hook);
  if (width === null) {
    throw new SextantError('hook_unknown', `'${hook}' has no vectors of fixed width`);
  }
  const blocks: Float32Array[] = [];
  if (positions === 'all') {
    for await (const { values } of activations(model, Array.from(sequences), { hooks: [hook], batch: PASS })) {
      blocks.push(values[hook]!);
    }
  } else {
    for await (const ids of groups(Array.from(sequences), PASS)) {
      const { taps } = await model.forward({ ids, taps: [hook], tapAt: 'last', logits: 'none' });
      blocks.push(taps[hook]!.data);
    }
  }
  return { blocks, width };
}

/** The vector divided by its norm. @throws SextantError `data_invalid` for a zero vector */
export function unitVector(values: ArrayLike<number>): Float32Array {
  let square = 0;
  for (let i = 0; i < values.length; i++) {
    square += values[i]! ** 2;
  }
  const norm = Math.sqrt(square);
  if (!(norm > 0)) {
    throw new SextantError('data_invalid', 'a zero vector has no direction');
  }
  return Float32Array.from({ length: values.length }, (_, i) => values[i]! / norm);
}

/** Unit vector from the negative to the positive mean. @throws SextantError `data_invalid` where they are equal */
export function differenceInMeans(
  positive: Pick<MeanActivation, 'mean'>,
  negative: Pick<MeanActivation, 'mean'>,
): Float32Array {
  const difference = positive.mean.map((value, i) => value - negative.mean[i]!);
  if (difference.every((value) => value === 0)) {
    throw new SextantError('data_invalid', 'the two sets have the same mean: there is no direction between them');
  }
  return unitVector(difference);
}
