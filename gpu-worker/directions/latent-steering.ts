/** Steering by one latent of an autoencoder against the difference in means and a random direction. */
import { stream } from '../../shared/math/random.ts';
import { groups, type LanguageModel } from '../lm/index.ts';
import { type Encoder, encodeActivations, separatingLatent, type TrainedSae } from '../sae/index.ts';
import { differenceInMeans, meanActivation, unitVector } from './difference-in-means.ts';
import { steeringFrontier } from './frontier.ts';

/** Everything as token ids. */
export type LatentSteering = {
  /** Two sets of texts that the latent is to separate. */
  texts: Record<'positive' | 'negative', readonly (readonly number[])[]>;
  /** Tokens of the two poles, by whose probabilities steering is judged after the prompts. */
  poles: Record<'positive' | 'negative', readonly number[]>;
  prompts: readonly (readonly number[])[];
  /** In units of the mean norm of the two sets at the hook. */
  strengths: readonly number[];
};

/** Sequences per forward pass. */
const PASS = 16;

async function codesOfLast(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  ids: readonly (readonly number[])[],
  encoder: Encoder,
) {
  const { inputs } = sae.parameters;
  const x = new Float32Array(ids.length * inputs);
  let rows = 0;
  for await (const part of groups(ids, PASS)) {
    const { taps } = await model.forward({ ids: part, taps: [hook], tapAt: 'last', logits: 'none' });
    x.set(taps[hook]!.data, rows * inputs);
    rows += part.length;
  }
  return encodeActivations(sae, x, encoder);
}

/** The frontier of the latent that separates the two sets best at their last tokens, and of its two rivals. */
export async function steerByLatent(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  { texts, poles, prompts, strengths }: LatentSteering,
  { encoder, seed, offTarget }: { encoder: Encoder; seed: number; offTarget: readonly ArrayLike<number>[] },
) {
  const { inputs, width, decoder } = sae.parameters;
  const choice = separatingLatent(
    await codesOfLast(model, hook, sae, texts.positive, encoder),
    await codesOfLast(model, hook, sae, texts.negative, encoder),
    width,
  );
  const positive = await meanActivation(model, hook, texts.positive, { positions: 'last' });
  const negative = await meanActivation(model, hook, texts.negative, { positions: 'last' });
  const row = decoder.subarray(choice.latent * inputs, (choice.latent + 1) * inputs);
  const frontiers = await steeringFrontier(model, {
    hook,
    directions: {
      sae_latent: unitVector(row.map((value) => choice.sign * value)),
      difference_in_means: differenceInMeans(positive, negative),
      random: unitVector(stream(seed, 'steering/random').normal(inputs)),
    },
    residualNorm: (positive.norm + negative.norm) / 2,
    strengths,
    prompts,
    ...poles,
    offTarget,
  });
  return { ...choice, frontiers };
}
