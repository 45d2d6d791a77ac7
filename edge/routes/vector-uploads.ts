/** `POST /v1/vectors`: a tenant's own directions. Nothing in a file is executed; sizes and shapes are checked first. */
import { createRoute } from '@hono/zod-openapi';
import { TABLE_LIMIT } from '../../shared/contracts/body-limit.ts';
import { modelKey } from '../../shared/contracts/model.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import {
  MOST_FILE_BYTES,
  uploadedVectorsSchema,
  type VectorSource,
  vectorUploadSchema,
} from '../../shared/requests/vector-upload.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { blobKey } from '../artefacts/addresses.ts';
import { readArtefact } from '../artefacts/reading.ts';
import type { App, Env } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { idempotencyHeader, ONCE } from '../idempotency/declaration.ts';
import { idempotent } from '../idempotency/middleware.ts';
import { findModel } from '../models/descriptions.ts';
import { publishOwn } from '../published/own-results.ts';
import { findPublished } from '../published/reading.ts';
import { requireKnownModel } from '../requests/known-model.ts';
import { createName, findName } from '../vectors/names.ts';
import { vectorSummary } from '../vectors/summary.ts';
import { directionsOf, uploadedVector } from '../vectors/upload.ts';

const { security, middleware } = keyedBody('vectors:write', 'writes', TABLE_LIMIT);

const create = createRoute({
  security,
  middleware: [...middleware, idempotent],
  method: 'post',
  path: '/v1/vectors',
  tags: ['vectors'],
  summary: 'Upload a vector, or the control vectors of a file',
  description:
    'Numbers, raw values, npy, safetensors or a GGUF file of control vectors, as base64 or as an uploaded artefact. The model must be known and have the hook point; its width is compared.',
  request: { headers: idempotencyHeader, body: jsonRequest(vectorUploadSchema.openapi('UploadVector')) },
  responses: {
    201: json(uploadedVectorsSchema.openapi('UploadedVectors'), 'The vectors; Location names the first'),
    ...problems(
      ...KEYED,
      ...BODY,
      ...ONCE,
      'model_unknown',
      'model_unsupported',
      'hook_unknown',
      'width_mismatch',
      'data_invalid',
      'input_not_found',
      'conflict',
      'unavailable',
    ),
  },
});

/** The bytes that a source names. Raises `input_not_found`, `body_too_large`, `data_invalid`. */
async function bytesOf(env: Env, tenant: string, source: VectorSource): Promise<Uint8Array<ArrayBuffer>> {
  if (source.format === 'json') {
    return Uint8Array.from(new TextEncoder().encode(JSON.stringify(source.values)));
  }
  if (source.base64 !== undefined) {
    return Uint8Array.from(Buffer.from(source.base64, 'base64'));
  }
  const artefact = await readArtefact(env, tenant, source.artefact ?? '', Date.now()).catch((error: unknown) => {
    throw error instanceof SextantError && error.code === 'not_found'
      ? new SextantError('input_not_found', error.message)
      : error;
  });
  if (artefact.bytes > MOST_FILE_BYTES) {
    throw new SextantError('body_too_large', `the artefact has ${artefact.bytes} bytes; at most ${MOST_FILE_BYTES}`);
  }
  const object = artefact.state === 'stored' ? await env.R2.get(blobKey(artefact.tenant, artefact.sha256)) : null;
  if (!object) {
    throw new SextantError('input_not_found', `the bytes of ${artefact.id} have not been committed`);
  }
  return new Uint8Array(await object.arrayBuffer());
}

export default function registerVectorUploads(app: App): void {
  app.openapi(create, async (c) => {
    const upload = c.req.valid('json');
    const { tenant } = c.get('key');
    await requireKnownModel(c.env, tenant, upload.model, 'lm.generate');
    const seen = await findModel(c.env, tenant, modelKey(upload.model));
    if (seen?.description.task !== 'language') {
      throw new SextantError('model_unsupported', 'vectors lie in language models that a worker has loaded');
    }
    const model = seen.description;
    const bytes = await bytesOf(c.env, tenant, upload.source);
    const digest = await sha256Hex(bytes);
    const directions = directionsOf(upload.source, upload.hook, bytes);
    if (upload.name !== undefined && (directions.length > 1 || (await findName(c.env, tenant, upload.name)))) {
      const detail =
        directions.length > 1 ? 'several vectors cannot have one name' : `the name "${upload.name}" exists`;
      throw new SextantError('conflict', detail, { errors: [{ pointer: '/name', code: 'conflict', detail }] });
    }
    const results = [];
    for (const direction of directions) {
      results.push(await uploadedVector(direction, upload, { model, digest }));
    }
    const { target: _target, ...event } = auditOf(c, 'vector.upload', '');
    const ids = await publishOwn(c.env, event, results);
    const [first = ''] = ids;
    if (upload.name !== undefined) {
      await createName(c.env, { tenant, name: upload.name, vector: first, now: Date.now() });
    }
    const published = await findPublished(c.env, tenant, ids);
    c.header('location', `/v1/vectors/${first}`);
    return c.json({ data: ids.map((id) => vectorSummary(published.get(id)!)) }, 201);
  });
}
