/** Models that workers have resolved for the tenant: family, shape, hook points. */
import { createRoute, z } from '@hono/zod-openapi';
import { modelKey, modelSchema } from '../../shared/contracts/model.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { modelName, readModelName } from '../../shared/requests/model-name.ts';
import { audited } from '../audit/log.ts';
import type { App } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { byKey, pageOf } from '../http/pages.ts';
import { findModel, isKnown, listModels, type SeenModel } from '../models/descriptions.ts';
import { deletePublished } from '../published/deletion.ts';
import { findPublished } from '../published/reading.ts';

const modelBody = modelSchema.openapi('Model');
const tags = ['models'];

const list = createRoute({
  ...keyed('models:read'),
  method: 'get',
  path: '/v1/models',
  tags,
  summary: 'List known models, in the order of their keys',
  request: { query: pageQuery },
  responses: {
    200: json(page(modelBody).extend({ object: z.literal('list') }), 'In the order of the keys'),
    ...problems(...KEYED, 'parameter_invalid'),
  },
});
const read = createRoute({
  ...keyed('models:read'),
  method: 'get',
  path: '/v1/models/{id}',
  tags,
  summary: 'Read a known model',
  request: { params: z.object({ id: z.string().min(1).max(400).describe("the model's key or name, URL-encoded") }) },
  responses: { 200: json(modelBody, 'The model'), ...problems(...KEYED, 'not_found') },
});

const remove = createRoute({
  ...keyed('artefacts:write', 'writes'),
  method: 'delete',
  path: '/v1/models/{id}',
  tags,
  summary: 'Delete a model that the tenant published, or forget one that its jobs have used',
  request: { params: z.object({ id: z.string().min(1).max(400).describe("the model's key, URL-encoded") }) },
  responses: { 204: { description: 'It is gone' }, ...problems(...KEYED, 'not_found', 'conflict') },
});

const BY_KEY = byKey(({ description }: SeenModel) => description.key);
const view = ({ description, seen, tenant }: SeenModel) => ({
  ...description,
  seen_at: new Date(seen).toISOString(),
  // the members that OpenAI's clients look for
  id: modelName(description.key),
  object: 'model' as const,
  created: Math.floor(seen / 1000),
  owned_by: tenant,
});

/** The key of a model that is called by key or by name. */
const keyOf = (id: string): string => {
  const reference = readModelName(id);
  return reference ? modelKey(reference) : id;
};

export default function registerModels(app: App): void {
  app.openapi(list, async (c) => {
    const read = (after: string, limit: number) => listModels(c.env, c.get('key').tenant, after, limit);
    return c.json({ object: 'list' as const, ...(await pageOf(c, c.req.valid('query'), BY_KEY, read, view)) }, 200);
  });

  app.openapi(read, async (c) => {
    const { id } = c.req.valid('param');
    const model = await findModel(c.env, c.get('key').tenant, keyOf(id));
    if (!model) {
      throw new SextantError('not_found', `no worker has resolved the model ${id} for this tenant yet`);
    }
    return c.json(view(model), 200);
  });

  app.openapi(remove, async (c) => {
    const { tenant } = c.get('key');
    const { id } = c.req.valid('param');
    const published = (await findPublished(c.env, tenant, [id])).get(id);
    const forget = c.env.DB.prepare('DELETE FROM models WHERE tenant = ? AND key = ?').bind(tenant, id);
    // a name that an operator or a hub gave is no id: the log says only that a model was forgotten
    const event = auditOf(c, 'model.delete', published ? id : 'model');
    if (published?.tenant === tenant) {
      await deletePublished(c.env, event, published, [forget]);
    } else if (await isKnown(c.env, tenant, id)) {
      await audited(c.env, event, [forget]);
    } else {
      throw new SextantError('not_found', `this tenant has no model ${id}`);
    }
    return c.body(null, 204);
  });
}
