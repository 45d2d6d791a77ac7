/** Sparse autoencoders. */
import { createRoute, z } from '@hono/zod-openapi';
import { saeIdSchema, saeSchema } from '../../shared/contracts/manifest.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { newestFirst, type Position, pageOf } from '../http/pages.ts';
import { listPublished, readPublished } from '../published/reading.ts';
import { publishedCaching, publishedView } from '../published/view.ts';

const saeBody = saeSchema.openapi('Sae');
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
  responses: { 200: json(page(saeBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('saes:read'),
  method: 'get',
  path: '/v1/saes/{id}',
  tags,
  summary: 'Read an SAE',
  request: { params: z.object({ id: saeIdSchema }) },
  responses: { 200: json(saeBody, 'The SAE'), ...problems(...KEYED, 'not_found') },
});

export default function registerSaes(app: App): void {
  app.openapi(list, async (c) => {
    const { model, hook, ...query } = c.req.valid('query');
    const of = { tenant: c.get('key').tenant, kind: 'sae' as const, filters: { model, hook } };
    const read = (before: Position, limit: number) => listPublished(c.env, { ...of, before, limit });
    return c.json(await pageOf(c, query, newestFirst, read, publishedView), 200);
  });

  app.openapi(read, async (c) => {
    const sae = await readPublished(c.env, c.get('key').tenant, 'sae', c.req.valid('param').id);
    for (const [name, value] of publishedCaching(sae)) {
      c.header(name, value);
    }
    return c.json(publishedView(sae), 200);
  });
}
