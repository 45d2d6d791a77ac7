/** The direction that the params of `vectors.derive` describe, and where it is from. */
import { paramError } from '../../../shared/contracts/problem.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/vectors.derive.ts';
import { type DerivedDirection, directionBetween, directionOfLatent } from '../../directions/derived-direction.ts';
import type { JobContext } from '../handler.ts';
import { openSae } from '../outputs/sae-artefact.ts';
import type { OpenedModel } from './model-input.ts';
import { encodeTexts } from './tokens.ts';

type OpenedDirection = DerivedDirection & { mismatch: boolean; provenance: Record<string, unknown> };

/** @throws SextantError `data_invalid` for missing texts or a latent that is not there; as `openSae` */
export async function openDirection(
  context: JobContext<ParamsOf<typeof contract>>,
  opened: OpenedModel,
  at: string,
): Promise<OpenedDirection> {
  const { params } = context;
  const { model } = opened;
  if (params.method !== 'sae_latent') {
    const ids = (pole: 'positive' | 'negative') => {
      if (params[pole].texts.length === 0) {
        throw paramError('data_invalid', `/${pole}/texts`, 'the method needs texts');
      }
      return encodeTexts(model, params[pole].texts, `/${pole}/texts`);
    };
    const texts = { positive: ids('positive'), negative: ids('negative') };
    const found = await directionBetween(model, at, texts, params.positions, params.method);
    return { ...found, mismatch: false, provenance: { tokens: found.tokens, positions: params.positions } };
  }
  const { latent, sign, hook } = params;
  const { sae, manifest, mismatch } = await openSae(context, params.sae, opened, {
    hook,
    allowMismatch: params.allow_mismatch,
  });
  const { width } = sae.parameters;
  if (latent >= width) {
    throw paramError('data_invalid', '/latent', `${params.sae} has latents 0 to ${width - 1}`);
  }
  const texts = [...params.positive.texts, ...params.negative.texts, ...params.prompts];
  if (texts.length === 0) {
    throw paramError('data_invalid', '/prompts', 'texts are needed to measure the norm of the residual stream');
  }
  const ids = encodeTexts(model, texts, '/prompts');
  const found = await directionOfLatent(model, hook, sae, { latent, sign }, ids);
  return {
    ...found,
    mismatch: mismatch.length > 0,
    provenance: { sae: params.sae, latent, sign, variant: manifest.method, tokens: found.tokens },
  };
}
