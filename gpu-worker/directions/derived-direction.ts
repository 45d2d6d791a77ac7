/** A unit direction at a hook and the scale of the activations there, from two sets of texts or from a latent. */
import type { LanguageModel, TokenRows } from '../lm/index.ts';
import type { TrainedSae } from '../sae/index.ts';
import { differenceInMeans, meanActivation, unitVector } from './difference-in-means.ts';
import { contrastivePairs, logisticProbe, principalComponent } from './text-methods.ts';

export type DerivedDirection = {
  /** [width] */
  unit: Float32Array;
  /** Mean Euclidean norm of the tokens that were read. */
  residualNorm: number;
  tokens: number;
};

/** How a direction is made of two sets of texts. */
type TextMethod = 'difference_in_means' | 'principal_component' | 'contrastive_pairs' | 'logistic_probe';

/** From the negative texts to the positive, by the method. @throws SextantError as `meanActivation` and the methods */
export async function directionBetween(
  model: LanguageModel,
  hook: string,
  texts: Record<'positive' | 'negative', TokenRows>,
  positions: 'all' | 'last',
  method: TextMethod = 'difference_in_means',
): Promise<DerivedDirection> {
  const positive = await meanActivation(model, hook, texts.positive, { positions });
  const negative = await meanActivation(model, hook, texts.negative, { positions });
  const tokens = positive.tokens + negative.tokens;
  return {
    unit:
      method === 'difference_in_means'
        ? differenceInMeans(positive, negative)
        : await OTHERS[method](model, hook, texts, positions),
    residualNorm: (positive.norm * positive.tokens + negative.norm * negative.tokens) / tokens,
    tokens,
  };
}

const OTHERS = {
  principal_component: principalComponent,
  contrastive_pairs: contrastivePairs,
  logistic_probe: logisticProbe,
};

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
