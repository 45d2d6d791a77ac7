/** Handler of `vectors.derive`: a unit direction, its scale at the hook, and the strength at which it works. */

import type { Manifest } from '../../shared/contracts/manifest.ts';
import { paramError } from '../../shared/contracts/problem.ts';
import { VECTOR_BLOB, type VectorBody } from '../../shared/contracts/vector.ts';
import type { ParamsOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/vectors.derive.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { differenceInMeans, meanActivation, unitVector } from '../directions/difference-in-means.ts';
import { calibrate, calibratedStrength } from '../directions/steering.ts';
import { handle, type JobContext } from './handler.ts';
import { type OpenedModel, openModel } from './inputs/model-input.ts';
import { encodeTexts, poleTokens } from './inputs/tokens.ts';
import { openSae } from './outputs/sae-artefact.ts';

type Params = ParamsOf<typeof contract>;
type Direction = { unit: Float32Array; residualNorm: number; mismatch: boolean; provenance: Record<string, unknown> };

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const { positive, negative } = poleTokens(model, params, '');
    context.progress({ fraction: 0.1, stage: 'reading texts', metrics: {} });
    const { unit, residualNorm, mismatch, provenance } = await derive(context, opened);
    context.progress({ fraction: 0.5, stage: 'calibrating', metrics: {} });
    const prompts = encodeTexts(model, params.prompts, '/prompts');
    const curve =
      prompts.length === 0
        ? []
        : await calibrate(model, {
            hook: params.hook,
            direction: unit,
            residualNorm,
            prompts,
            positive,
            negative,
            strengths: params.strengths,
          });
    const strength = calibratedStrength(curve);
    const body: VectorBody = {
      width: unit.length,
      dtype: 'float32',
      residual_norm: residualNorm,
      positive_pole: params.positive.label,
      negative_pole: params.negative.label,
      strength,
      effect: { ...curve.find((point) => point.strength === strength) },
      calibration: curve,
      provenance,
    };
    const values = new Uint8Array(unit.buffer, unit.byteOffset, unit.byteLength);
    const { model: _reference, name = null, ...rest } = params;
    const manifest: Manifest = {
      kind: 'vector',
      schema: 1,
      method: params.method,
      params: rest,
      seed: params.seed,
      model: opened.id,
      model_digest: opened.digest,
      hook: params.hook,
      data_digest: await sha256Hex(canonicalJson({ positive: params.positive.texts, negative: params.negative.texts })),
      blobs: [await context.artefact(VECTOR_BLOB, 'application/octet-stream', values)],
      body,
    };
    return {
      result: {
        vector: await manifestId(manifest),
        name,
        width: unit.length,
        residual_norm: residualNorm,
        strength,
        calibration: curve,
        mismatch,
      },
      published: [manifest],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await model.release();
  }
});

async function derive(context: JobContext<Params>, opened: OpenedModel): Promise<Direction> {
  const { params } = context;
  const { model } = opened;
  if (params.method === 'difference_in_means') {
    const means = [];
    for (const pole of ['positive', 'negative'] as const) {
      const { texts } = params[pole];
      if (texts.length === 0) {
        throw paramError('data_invalid', `/${pole}/texts`, 'the method needs texts');
      }
      const ids = encodeTexts(model, texts, `/${pole}/texts`);
      means.push(await meanActivation(model, params.hook, ids, { positions: params.positions }));
    }
    const [positive, negative] = means as [(typeof means)[0], (typeof means)[0]];
    const tokens = positive.tokens + negative.tokens;
    return {
      unit: differenceInMeans(positive, negative),
      residualNorm: (positive.norm * positive.tokens + negative.norm * negative.tokens) / tokens,
      mismatch: false,
      provenance: { tokens, positions: params.positions },
    };
  }
  const { sae, manifest, mismatch } = await openSae(context, params.sae, opened, {
    hook: params.hook,
    allowMismatch: params.allow_mismatch,
  });
  const { decoder, width, inputs } = sae.parameters;
  if (params.latent >= width) {
    throw paramError('data_invalid', '/latent', `${params.sae} has latents 0 to ${width - 1}`);
  }
  const row = decoder.subarray(params.latent * inputs, (params.latent + 1) * inputs);
  const texts = [...params.positive.texts, ...params.negative.texts, ...params.prompts];
  if (texts.length === 0) {
    throw paramError('data_invalid', '/prompts', 'texts are needed to measure the norm of the residual stream');
  }
  const { norm, tokens } = await meanActivation(model, params.hook, encodeTexts(model, texts, '/prompts'));
  return {
    unit: unitVector(Float32Array.from(row, (value) => params.sign * value)),
    residualNorm: norm,
    mismatch: mismatch.length > 0,
    provenance: { sae: params.sae, latent: params.latent, sign: params.sign, variant: manifest.method, tokens },
  };
}
