/** Sparse autoencoders. */
import { createRoute, z } from '@hono/zod-openapi';
import { saeIdSchema } from '../../shared/contracts/thing.ts';
import type { App } from '../app.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { decodeCursor, NEWEST, nextLink, pageOf } from '../http/pages.ts';
import { listThings, readThing } from '../published/reading.ts';
import { thingCaching, thingSchema, thingView } from '../published/view.ts';

const saeSchema = thingSchema(saeIdSchema).openapi('Sae');
const tags = ['saes'];

const list = createRoute({
  ...keyed('saes:read'),
  method: 'get',
  path: '/v1/saes',
  tags,
  summary: 'List SAEs',
  request: {
    query: pageQuery.extend({ model: z.string().max(100).optional(), hook: z.string().max(100).optional() }),
  },
  responses: { 200: json(page(saeSchema), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('saes:read'),
  method: 'get',
  path: '/v1/saes/{id}',
  tags,
  summary: 'Read an SAE',
  request: { params: z.object({ id: saeIdSchema }) },
  responses: { 200: json(saeSchema, 'The SAE'), ...problems(...KEYED, 'not_found') },
});

export function registerSaes(app: App): void {
  app.openapi(list, async (c) => {
    const { limit, cursor, model, hook } = c.req.valid('query');
    const things = await listThings(c.env, {
      tenant: c.get('key').tenant,
      kind: 'sae',
      before: cursor === undefined ? NEWEST : decodeCursor(cursor),
      limit: limit + 1,
      filters: { model, hook },
    });
    const { rows, next } = pageOf(things, limit);
    if (next) c.header('link', nextLink(c.req.url, next));
    return c.json({ data: rows.map(thingView), next_cursor: next }, 200);
  });

  app.openapi(read, async (c) => {
    const sae = await readThing(c.env, c.get('key').tenant, 'sae', c.req.valid('param').id);
    for (const [name, value] of thingCaching(sae)) c.header(name, value);
    return c.json(thingView(sae), 200);
  });
}
