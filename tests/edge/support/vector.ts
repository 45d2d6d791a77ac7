/** Vectors laid straight into a tenant's index and bucket, as a completed job would leave them. */
import { env } from 'cloudflare:workers';
import { artefactStatements } from '../../../edge/artefacts/index-rows.ts';
import { verifyAndPromote } from '../../../edge/artefacts/promotion.ts';
import { identifyResults, publishStatements } from '../../../edge/published/index-rows.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { VECTOR_BLOB, type VectorBody } from '../../../shared/contracts/vector.ts';
import { announce, newArea, stage } from './staging.ts';

export const vectorBody = (width: number): VectorBody => ({
  width,
  dtype: 'float32',
  residual_norm: 7.25,
  positive_pole: 'warm',
  negative_pole: 'cold',
  strength: 1.5,
  effect: { shift: 0.4 },
  calibration: [{ strength: 1.5, shift: 0.4 }],
  provenance: { texts: 12 },
});

/** Values of unit norm. */
export function unitValues(width: number, seed: number): Float32Array<ArrayBuffer> {
  const values = Float32Array.from({ length: width }, (_, i) => Math.sin(seed + 1.7 * i) + 0.01 * i);
  const norm = Math.hypot(...values);
  return values.map((x) => x / norm);
}

export type Planted = { id: string; manifest: Manifest; values: Float32Array<ArrayBuffer> };

export async function plantVector(
  tenant: string,
  width = 16,
  seed = Math.random(),
  method = 'difference_in_means',
): Promise<Planted> {
  const values = unitValues(width, seed);
  const area = newArea(tenant);
  const artefact = await announce(0, new Uint8Array(values.buffer));
  await stage(area, 0, new Uint8Array(values.buffer));
  const artefacts = await verifyAndPromote(env, { ...area, artefacts: [artefact] });
  const { sha256, bytes, media_type } = artefact;
  const manifest: Manifest = {
    kind: 'vector',
    schema: 1,
    method,
    params: { positions: 'all' },
    seed: 3,
    model: `mdl_${'m'.repeat(52)}`,
    model_digest: 'ab'.repeat(32),
    hook: 'resid_post.1',
    data_digest: null,
    blobs: [{ name: VECTOR_BLOB, sha256, bytes, media_type }],
    body: vectorBody(width),
  };
  const published = await identifyResults(env, tenant, [manifest]);
  const created = Date.now();
  await env.DB.batch([
    ...artefactStatements(env, { tenant, job: area.job, artefacts, created, expires: null }),
    ...publishStatements(env, { tenant, job: area.job, published, created }),
  ]);
  return { id: published[0]!.id, manifest, values };
}
