/** Steering vectors: metadata and values by id, immutable; lists; deletion. */
import { createRoute, z } from '@hono/zod-openapi';
import { vectorIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import {
  vectorDtypeSchema,
  vectorFormatSchema,
  vectorSchema,
  vectorSummarySchema,
  vectorValuesSchema,
} from '../../shared/contracts/vector.ts';
import type { App } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { newestFirst, type Position, pageOf } from '../http/pages.ts';
import { deletePublished } from '../published/deletion.ts';
import { listPublished, readPublished } from '../published/reading.ts';
import { forgetVector, lookUp } from '../vectors/lookup.ts';
import { vectorResponse } from '../vectors/response.ts';
import { MEDIA_TYPES, selectionFor } from '../vectors/selection.ts';
import { vectorSummary } from '../vectors/summary.ts';

const vectorBody = vectorSchema.openapi('Vector');
const vectorValuesBody = vectorValuesSchema.openapi('VectorValues');
const summaryBody = vectorSummarySchema.openapi('VectorSummary');
const idParams = z.object({ id: vectorIdSchema });
const tags = ['vectors'];
const binary = { schema: z.string().openapi({ format: 'binary' }) };

const read = createRoute({
  ...keyed('vectors:read'),
  method: 'get',
  path: '/v1/vectors/{id}',
  tags,
  summary: 'Read a vector: its description, or its values with ?format=',
  description: 'Without `format`, `Accept` picks it; without either the answer is the description.',
  request: {
    params: idParams,
    query: z.strictObject({ format: vectorFormatSchema.optional(), dtype: vectorDtypeSchema.optional() }),
  },
  responses: {
    200: {
      description: 'The representation; `Server-Timing` names the lookup tier, `ETag` is the digest of the bytes',
      content: {
        'application/json': { schema: z.union([vectorBody, vectorValuesBody]) },
        [MEDIA_TYPES.raw]: binary,
        [MEDIA_TYPES.safetensors]: binary,
        [MEDIA_TYPES.npy]: binary,
      },
    },
    206: { description: 'The range of it' },
    304: { description: 'If-None-Match names the representation' },
    ...problems(
      ...KEYED,
      'not_found',
      'not_acceptable',
      'parameter_invalid',
      'precondition_failed',
      'range_unsatisfiable',
    ),
  },
});
const list = createRoute({
  ...keyed('vectors:read'),
  method: 'get',
  path: '/v1/vectors',
  tags,
  summary: 'List vectors',
  request: {
    query: pageQuery.extend({
      model: z.string().max(100).optional(),
      hook: z.string().max(100).optional(),
      method: z.string().max(100).optional(),
    }),
  },
  responses: { 200: json(page(summaryBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const remove = createRoute({
  ...keyed('vectors:write', 'writes'),
  method: 'delete',
  path: '/v1/vectors/{id}',
  tags,
  summary: 'Delete a vector; takes effect everywhere within a minute',
  request: { params: idParams },
  responses: { 204: { description: 'It is gone' }, ...problems(...KEYED, 'not_found', 'conflict') },
});

export default function registerVectors(app: App): void {
  app.openapi(read, async (c) => {
    const { id } = c.req.valid('param');
    const { format, dtype } = c.req.valid('query');
    const selection = selectionFor(format, dtype, c.req.header('accept') ?? null);
    const found = (await lookUp(c.env, c.executionCtx, c.get('key').tenant, [id], selection, Date.now())).get(id);
    if (!found) {
      throw new SextantError('not_found', `there is no vector ${id}`);
    }
    return vectorResponse(found.representation, found.tier, c.req.raw.headers) as never;
  });

  app.openapi(list, async (c) => {
    const { model, hook, method, ...query } = c.req.valid('query');
    const of = { tenant: c.get('key').tenant, kind: 'vector' as const, filters: { model, hook, method } };
    const read = (before: Position, limit: number) => listPublished(c.env, { ...of, before, limit });
    return c.json(await pageOf(c, query, newestFirst, read, vectorSummary), 200);
  });

  app.openapi(remove, async (c) => {
    const { tenant } = c.get('key');
    const vector = await readPublished(c.env, tenant, 'vector', c.req.valid('param').id);
    await deletePublished(c.env, auditOf(c, 'vector.delete', vector.id), vector);
    await forgetVector(c.env, tenant, vector.id);
    return c.body(null, 204);
  });
}
