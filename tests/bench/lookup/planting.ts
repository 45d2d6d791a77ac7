/** Puts a key and many 16 KB vectors into the edge's stores, as completed jobs would have. */
import type { Miniflare } from 'miniflare';
import { INSERT_KEY, keyValues, mintKey } from '../../../edge/keys/mint.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { VECTOR_BLOB } from '../../../shared/contracts/vector.ts';
import { hex, manifestId, sha256 } from '../../../shared/signing/digest.ts';

export const WIDTH = 4096;
const TENANT = 'bench';

/** A key whose quota no load reaches. */
export async function plantKey(miniflare: Miniflare): Promise<string> {
  const { text, row } = await mintKey({
    tenant: TENANT,
    name: 'bench',
    scopes: ['vectors:read'],
    limits: { reads: 1e9 },
    now: Date.now(),
  });
  const database = await miniflare.getD1Database('DB');
  await database
    .prepare(INSERT_KEY)
    .bind(...keyValues(row))
    .run();
  return text;
}

/** `count` vectors that share one blob and differ by their seed; returns their ids. */
export async function plantVectors(miniflare: Miniflare, count: number): Promise<string[]> {
  const values = Float32Array.from({ length: WIDTH }, (_, i) => Math.cos(i) / Math.sqrt(WIDTH / 2));
  const bytes = new Uint8Array(values.buffer);
  const digest = hex(await sha256(bytes));
  await (await miniflare.getR2Bucket('R2')).put(`t/${TENANT}/blob/${digest}`, bytes);
  const rows: { id: string; manifest: string }[] = [];
  for (let seed = 0; seed < count; seed += 1) {
    const manifest: Manifest = {
      kind: 'vector',
      schema: 1,
      method: 'difference_in_means',
      params: {},
      seed,
      model: null,
      model_digest: null,
      hook: 'resid_post.10',
      data_digest: null,
      blobs: [{ name: VECTOR_BLOB, sha256: digest, bytes: bytes.byteLength, media_type: 'application/octet-stream' }],
      body: {
        width: WIDTH,
        dtype: 'float32',
        residual_norm: 40,
        positive_pole: 'warm',
        negative_pole: 'cold',
        strength: 2,
        effect: {},
        calibration: [],
        provenance: { texts: 200 },
      },
    };
    rows.push({ id: await manifestId(manifest), manifest: JSON.stringify(manifest) });
  }
  const database = await miniflare.getD1Database('DB');
  for (let i = 0; i < rows.length; i += 500) {
    await database
      .prepare(
        `INSERT INTO published (tenant, id, kind, manifest, job, created_at)
         SELECT ?2, value ->> 'id', 'vector', value ->> 'manifest', NULL, 0 FROM json_each(?1)`,
      )
      .bind(JSON.stringify(rows.slice(i, i + 500)), TENANT)
      .run();
  }
  return rows.map((row) => row.id);
}
