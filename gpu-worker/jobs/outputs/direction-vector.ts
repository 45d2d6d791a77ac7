/** A raw direction at a hook as a published vector: the unit values, and its norm as a strength. */
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { VECTOR_BLOB, type VectorBody } from '../../../shared/contracts/vector.ts';
import { unitVector } from '../../directions/difference-in-means.ts';
import { norm } from '../../directions/vectors.ts';
import { manifestOf } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedModel } from '../inputs/model-input.ts';

export type DirectionOf = {
  method: string;
  params: Record<string, unknown>;
  model: Pick<OpenedModel, 'id' | 'digest'>;
  seed: number;
  dataDigest: string;
  hook: string;
  /** Raw: its norm is what adding it once means. */
  vector: ArrayLike<number>;
  /** Mean norm of the stream there, in which strengths are counted. */
  residualNorm: number;
  poles: { positive: string; negative: string };
  effect: Record<string, unknown>;
  calibration?: Record<string, unknown>[];
  provenance: Record<string, unknown>;
};

export async function directionManifest(
  context: Pick<JobContext<unknown>, 'artefact'>,
  of: DirectionOf,
): Promise<Manifest> {
  const values = unitVector(of.vector);
  const body: VectorBody = {
    width: values.length,
    dtype: 'float32',
    residual_norm: of.residualNorm,
    positive_pole: of.poles.positive,
    negative_pole: of.poles.negative,
    strength: norm(of.vector) / of.residualNorm,
    effect: of.effect,
    calibration: of.calibration ?? [],
    provenance: of.provenance,
  };
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return manifestOf({
    kind: 'vector',
    method: of.method,
    params: of.params,
    seed: of.seed,
    model: of.model.id,
    model_digest: of.model.digest,
    hook: of.hook,
    data_digest: of.dataDigest,
    blobs: [await context.artefact(VECTOR_BLOB, 'application/octet-stream', bytes)],
    body,
  });
}
