/** Handler of `vectors.derive`: a unit direction, its scale at the hook, and the strength at which it works. */
import type { Manifest } from '../../shared/contracts/manifest.ts';
import { VECTOR_BLOB, type VectorBody } from '../../shared/contracts/vector.ts';
import contract from '../../shared/jobs/vectors.derive.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { calibrate, calibratedStrength } from '../directions/steering.ts';
import { handle } from './handler.ts';
import { openDirection } from './inputs/direction-input.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeTexts, poleTokens } from './inputs/tokens.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const { positive, negative } = poleTokens(model, params, '');
    context.progress({ fraction: 0.1, stage: 'reading texts', metrics: {} });
    const { unit, residualNorm, mismatch, provenance } = await openDirection(context, opened);
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
