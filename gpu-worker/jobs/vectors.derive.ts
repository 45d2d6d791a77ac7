/** Handler of `vectors.derive`: a unit direction, its scale at the hook, and the strength at which it works. */
import { VECTOR_BLOB, type VectorBody } from '../../shared/contracts/vector.ts';
import contract from '../../shared/jobs/vectors.derive.ts';
import { canonicalJson, manifestId, sha256Hex } from '../../shared/signing/digest.ts';
import { calibrate, calibratedStrength } from '../directions/steering.ts';
import { manifestOf } from '../study/index.ts';
import { handle } from './handler.ts';
import { openDirection } from './inputs/direction-input.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeTexts, poleTokens } from './inputs/tokens.ts';

/** What the positive pole gains at the calibrated strength; 0 where it gains nothing. */
function gainOf({ calibration, strength }: Tried): number {
  const at = (value: number) => calibration.find((point) => point.strength === value)?.positive_probability ?? 0;
  return strength === null ? 0 : at(strength) - at(0);
}

type Tried = { calibration: Awaited<ReturnType<typeof calibrate>>; strength: number | null };

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const { positive, negative } = poleTokens(model, params, '');
    context.progress({ fraction: 0.1, stage: 'reading texts', metrics: {} });
    const prompts = encodeTexts(model, params.prompts, '/prompts');
    const hooks = [...new Set([params.hook, ...(('hooks' in params && params.hooks) || [])])];
    const tried = [];
    for (const [i, hook] of hooks.entries()) {
      const direction = await openDirection(context, opened, hook);
      context.progress({ fraction: 0.1 + (0.8 * (i + 0.5)) / hooks.length, stage: 'calibrating', metrics: {} });
      const { unit, residualNorm } = direction;
      const { strengths } = params;
      const calibration =
        prompts.length === 0
          ? []
          : await calibrate(model, { hook, direction: unit, residualNorm, prompts, positive, negative, strengths });
      tried.push({ ...direction, hook, calibration, strength: calibratedStrength(calibration) });
    }
    const best = tried.reduce((a, b) => (gainOf(b) > gainOf(a) ? b : a));
    const { hook, unit, residualNorm, mismatch, provenance, calibration: curve, strength } = best;
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
    const manifest = manifestOf({
      kind: 'vector',
      method: params.method,
      params: rest,
      seed: params.seed,
      model: opened.id,
      model_digest: opened.digest,
      hook,
      data_digest: await sha256Hex(canonicalJson({ positive: params.positive.texts, negative: params.negative.texts })),
      blobs: [await context.artefact(VECTOR_BLOB, 'application/octet-stream', values)],
      body,
    });
    return {
      result: {
        vector: await manifestId(manifest),
        name,
        width: unit.length,
        residual_norm: residualNorm,
        strength,
        calibration: curve,
        mismatch,
        ...(hooks.length > 1 && {
          hook,
          sweep: tried.map((one) => ({
            hook: one.hook,
            residual_norm: one.residualNorm,
            strength: one.strength,
            calibration: one.calibration,
          })),
        }),
      },
      published: [manifest],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await model.release();
  }
});
