/** A vector as the lookup tiers hold it: its description and its unit-norm values; and the bytes of it that go into KV. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { VECTOR_BLOB, type VectorBody, vectorBodySchema } from '../../shared/contracts/vector.ts';
import { PUBLIC_TENANT } from '../environment.ts';
import type { PublishedResult } from '../published/reading.ts';

/** What the API shows of a vector beside its values. */
export type VectorDescription = VectorBody & {
  id: string;
  model: string | null;
  model_digest: string | null;
  hook: string | null;
  method: string;
  params: Record<string, unknown>;
  seed: number | null;
  data_digest: string | null;
  values_sha256: string;
  job: string | null;
  created_at: string;
};
/** `owner` is the tenant whose result this is; `values` are little-endian float32 bytes. */
export type VectorRecord = { owner: string; description: VectorDescription; values: Uint8Array<ArrayBuffer> };

/** The blob of a vector's manifest that holds its values. Raises internal for a manifest that is none of a vector. */
export function valuesBlob(result: PublishedResult): { sha256: string; bytes: number } {
  const blob = result.manifest.blobs.find((candidate) => candidate.name === VECTOR_BLOB);
  const body = vectorBodySchema.parse(result.manifest.body);
  if (!blob || blob.bytes !== 4 * body.width) {
    throw new SextantError('internal', `the manifest of ${result.id} holds no ${VECTOR_BLOB} of its width`);
  }
  return blob;
}

export function recordOf(result: PublishedResult, values: Uint8Array<ArrayBuffer>): VectorRecord {
  const { manifest } = result;
  const description: VectorDescription = {
    id: result.id,
    model: manifest.model,
    model_digest: manifest.model_digest,
    hook: manifest.hook,
    method: manifest.method,
    params: manifest.params,
    seed: manifest.seed,
    data_digest: manifest.data_digest,
    values_sha256: valuesBlob(result).sha256,
    ...vectorBodySchema.parse(manifest.body),
    // jobs of the public tenant are the operator's own affair
    job: result.tenant === PUBLIC_TENANT ? null : result.job,
    created_at: new Date(result.created).toISOString(),
  };
  return { owner: result.tenant, description, values };
}

/** [length of the description, 4 bytes little endian][description as JSON, padded to 4 bytes][values]. */
export function packRecord(record: VectorRecord): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(record.description));
  const start = 4 + Math.ceil(text.byteLength / 4) * 4;
  const packed = new Uint8Array(start + record.values.byteLength).fill(0x20, 4, start);
  new DataView(packed.buffer).setUint32(0, start - 4, true);
  packed.set(text, 4);
  packed.set(record.values, start);
  return packed;
}

export function unpackRecord(owner: string, packed: ArrayBuffer): VectorRecord {
  const length = new DataView(packed).getUint32(0, true);
  const description = JSON.parse(new TextDecoder().decode(new Uint8Array(packed, 4, length))) as VectorDescription;
  return { owner, description, values: new Uint8Array(packed, 4 + length) };
}
