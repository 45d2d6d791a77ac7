/** Models that workers have resolved for the tenant: family, shape, hook points. */
import { createRoute, z } from '@hono/zod-openapi';
import { languageDescriptionSchema, otherDescriptionSchema } from '../../shared/contracts/model.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { byKey, pageOf } from '../http/pages.ts';
import { findModel, listModels, type SeenModel } from '../models/descriptions.ts';

const shown = {
  key: z.string().describe('mdl_ id, local:alias or hub:name:repository@revision'),
  seen_at: z.string(),
};
const modelSchema = z
  .union([languageDescriptionSchema.extend(shown), otherDescriptionSchema.extend(shown)])
  .openapi('Model');
const tags = ['models'];

const list = createRoute({
  ...keyed('models:read'),
  method: 'get',
  path: '/v1/models',
  tags,
  summary: 'List known models, in the order of their keys',
  request: { query: pageQuery },
  responses: { 200: json(page(modelSchema), 'In the order of the keys'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('models:read'),
  method: 'get',
  path: '/v1/models/{id}',
  tags,
  summary: 'Read a known model',
  request: { params: z.object({ id: z.string().min(1).max(400).describe("the model's key, URL-encoded") }) },
  responses: { 200: json(modelSchema, 'The model'), ...problems(...KEYED, 'not_found') },
});

const BY_KEY = byKey(({ description }: SeenModel) => description.key);
const view = ({ description, seen }: SeenModel) => ({ ...description, seen_at: new Date(seen).toISOString() });

export default function registerModels(app: App): void {
  app.openapi(list, async (c) => {
    const read = (after: string, limit: number) => listModels(c.env, c.get('key').tenant, after, limit);
    return c.json(await pageOf(c, c.req.valid('query'), BY_KEY, read, view), 200);
  });

  app.openapi(read, async (c) => {
    const { id } = c.req.valid('param');
    const model = await findModel(c.env, c.get('key').tenant, id);
    if (!model) {
      throw new SextantError('not_found', `no worker has resolved the model ${id} for this tenant yet`);
    }
    return c.json(view(model), 200);
  });
}
