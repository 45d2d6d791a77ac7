/** The chosen point of a reflection study as a published vector, with its frontier and sign. */
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import type { JobContext } from '../handler.ts';
import { type DirectionOf, directionManifest } from './direction-vector.ts';

type Chosen = {
  chosen: { hook: string; mode: string; alpha: number };
  sign: number;
  surface: string;
  triggers: readonly string[];
  frontier: readonly Record<string, unknown>[];
  steered: Record<string, unknown>;
  plain: Record<string, unknown>;
  gain: Record<string, unknown>;
  vector: ArrayLike<number>;
  residualNorm: number;
};

export function reflectionVector(
  context: Pick<JobContext<unknown>, 'artefact'>,
  { params, model, seed, dataDigest }: Pick<DirectionOf, 'params' | 'model' | 'seed' | 'dataDigest'>,
  { chosen, sign, surface, triggers, frontier, steered, plain, gain, vector, residualNorm }: Chosen,
): Promise<Manifest> {
  const { model: _reference, ...rest } = params;
  return directionManifest(context, {
    method: 'self_reflection',
    params: rest,
    model,
    seed,
    dataDigest,
    hook: chosen.hook,
    vector,
    residualNorm,
    poles: { positive: 'reflection', negative: 'no reflection' },
    effect: { plain, steered, gain },
    calibration: frontier.slice(0, 1000),
    provenance: {
      mode: chosen.mode,
      alpha: chosen.alpha,
      sign,
      surface,
      triggers,
      norm: Math.hypot(...Array.from(vector)),
    },
  });
}
