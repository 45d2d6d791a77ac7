/** Many vectors in one answer. */
import { createRoute, z } from '@hono/zod-openapi';
import { vectorBatchRequestSchema, vectorBatchSchema } from '../../shared/contracts/vector.ts';
import { floatTensor, writeSafetensors } from '../../shared/formats/safetensors.ts';
import type { App } from '../environment.ts';
import { BODY, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { lookUp } from '../vectors/lookup.ts';
import { floats, jsonValues } from '../vectors/representation.ts';
import { MEDIA_TYPES, selectionOf } from '../vectors/selection.ts';

const requestBody = vectorBatchRequestSchema.openapi('VectorBatchRequest');
const batchBody = vectorBatchSchema.openapi('VectorBatch');

const create = createRoute({
  ...keyedBody('vectors:read', 'reads'),
  method: 'post',
  path: '/v1/vector-batches',
  tags: ['vectors'],
  summary: 'Read up to 100 vectors at once',
  description:
    'As `safetensors`, one tensor per vector, named by its id; the file names the missing ids and the descriptions in its metadata.',
  request: { body: jsonRequest(requestBody) },
  responses: {
    200: {
      description: 'What was found',
      content: {
        'application/json': { schema: batchBody },
        [MEDIA_TYPES.safetensors]: { schema: z.string().openapi({ format: 'binary' }) },
      },
    },
    ...problems(...KEYED, ...BODY),
  },
});

export default function registerVectorBatches(app: App): void {
  app.openapi(create, async (c) => {
    const { ids, format, dtype } = c.req.valid('json');
    const wanted = [...new Set(ids)];
    const { tenant } = c.get('key');
    // one kind of representation for all, whatever the answer's own format: float32 as the vectors are stored
    const stored = await lookUp(c.env, c.executionCtx, tenant, wanted, selectionOf('raw', 'float32'), Date.now());
    const found = wanted.flatMap((id) => stored.get(id)?.representation ?? []);
    const missing = wanted.filter((id) => !stored.has(id));
    c.header('cache-control', 'private, no-store');
    if (format === 'json') {
      const data = found.map(({ description, bytes }) => ({
        ...description,
        dtype,
        values: jsonValues(bytes, dtype),
      }));
      return c.json({ data, missing }, 200);
    }
    const narrow = dtype === 'float16' ? 'F16' : 'F32';
    const tensors = found.map(({ description: { id, width }, bytes }) =>
      floatTensor(id, [width], floats(bytes), narrow),
    );
    const descriptions = Object.fromEntries(found.map(({ description: d }) => [d.id, JSON.stringify(d)]));
    const file = writeSafetensors(tensors, { ...descriptions, missing: JSON.stringify(missing) });
    return c.body(file as Uint8Array<ArrayBuffer>, 200, { 'content-type': MEDIA_TYPES.safetensors }) as never;
  });
}
