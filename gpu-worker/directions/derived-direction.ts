/** A unit direction at a hook and the scale of the activations there, from two sets of texts or from a latent. */
import type { LanguageModel, TokenRows } from '../lm/index.ts';
import type { TrainedSae } from '../sae/index.ts';
import { differenceInMeans, meanActivation, unitVector } from './difference-in-means.ts';

export type DerivedDirection = {
  /** [width] */
  unit: Float32Array;
  /** Mean Euclidean norm of the tokens that were read. */
  residualNorm: number;
  tokens: number;
};

/** From the mean over the negative texts to that over the positive. @throws SextantError as `meanActivation` */
export async function directionBetween(
  model: LanguageModel,
  hook: string,
  texts: Record<'positive' | 'negative', TokenRows>,
  positions: 'all' | 'last',
): Promise<DerivedDirection> {
  const positive = await meanActivation(model, hook, texts.positive, { positions });
  const negative = await meanActivation(model, hook, texts.negative, { positions });
  const tokens = positive.tokens + negative.tokens;
  return {
    unit: differenceInMeans(positive, negative),
    residualNorm: (positive.norm * positive.tokens + negative.norm * negative.tokens) / tokens,
    tokens,
  };
}

/**
 * A latent's decoder row; the scale is taken from the texts.
 * @param sign of the code that the direction stands for
 * @throws SextantError as `meanActivation`
 */
export async function directionOfLatent(
  model: LanguageModel,
  hook: string,
  { parameters: { decoder, inputs } }: TrainedSae,
  { latent, sign }: { latent: number; sign: 1 | -1 },
  texts: TokenRows,
): Promise<DerivedDirection> {
  const row = decoder.subarray(latent * inputs, (latent + 1) * inputs);
  const { norm, tokens } = await meanActivation(model, hook, texts);
  return { unit: unitVector(Float32Array.from(row, (value) => sign * value)), residualNorm: norm, tokens };
}
