/** Steering by one latent of an SAE against Difference-in-Mean and a random direction, for `sae.evaluate`. */

import type { ParamsOf } from '../../shared/jobs/contract.ts';
import type contract from '../../shared/jobs/sae.evaluate.ts';
import { stream } from '../../shared/math/random.ts';
import { differenceInMeans, meanActivation, unitVector } from '../directions/difference-in-means.ts';
import { steeringFrontier } from '../directions/frontier.ts';
import { groups, type LanguageModel } from '../lm/index.ts';
import { type Encoder, encodeActivations, separatingLatent, type TrainedSae } from '../sae/index.ts';
import { encodeTexts, poleTokens } from './inputs/tokens.ts';

type Steering = NonNullable<ParamsOf<typeof contract>['steering']>;

async function codesOf(model: LanguageModel, hook: string, sae: TrainedSae, ids: number[][], encoder: Encoder) {
  const parts: Float32Array[] = [];
  for await (const part of groups(ids, 16)) {
    const { taps } = await model.forward({ ids: part, taps: [hook], tapAt: 'last', logits: 'none' });
    parts.push(taps[hook]!.data);
  }
  const x = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    x.set(part, at);
    at += part.length;
  }
  return encodeActivations(sae, x, encoder);
}

/** The frontier of the latent that separates the two sets best at their last tokens, and of its two rivals. */
export async function steerByLatent(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  steering: Steering,
  { encoder, seed, offTarget }: { encoder: Encoder; seed: number; offTarget: readonly ArrayLike<number>[] },
) {
  const tokens = poleTokens(model, steering, '/steering');
  const ids = (name: 'positive' | 'negative') => encodeTexts(model, steering[name].texts, `/steering/${name}/texts`);
  const [up, down] = [ids('positive'), ids('negative')];
  const { inputs, width, decoder } = sae.parameters;
  const choice = separatingLatent(
    await codesOf(model, hook, sae, up, encoder),
    await codesOf(model, hook, sae, down, encoder),
    width,
  );
  const means = [
    await meanActivation(model, hook, up, { positions: 'last' }),
    await meanActivation(model, hook, down, { positions: 'last' }),
  ];
  const row = decoder.subarray(choice.latent * inputs, (choice.latent + 1) * inputs);
  const frontiers = await steeringFrontier(model, {
    hook,
    directions: {
      sae_latent: unitVector(row.map((value) => choice.sign * value)),
      difference_in_means: differenceInMeans(means[0]!, means[1]!),
      random: unitVector(stream(seed, 'steering/random').normal(inputs)),
    },
    residualNorm: (means[0]!.norm + means[1]!.norm) / 2,
    strengths: steering.strengths,
    prompts: encodeTexts(model, steering.prompts, '/steering/prompts'),
    ...tokens,
    offTarget,
  });
  return { ...choice, frontiers };
}
