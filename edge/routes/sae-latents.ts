/** The latents of an SAE: a list that can be sorted, and a dashboard of each. */
import { createRoute, z } from '@hono/zod-openapi';
import {
  LATENT_INDEX_BLOB,
  LATENT_SORTS,
  type Latent,
  type LatentIndex,
  latentOrder,
  latentSchema,
  latentShardBlob,
  latentSummarySchema,
} from '../../shared/contracts/latent.ts';
import { saeIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App, Env } from '../environment.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { byNumber, pageOf } from '../http/pages.ts';
import { readJsonBlob } from '../published/blobs.ts';
import { type PublishedResult, readPublished } from '../published/reading.ts';
import { publishedCaching } from '../published/view.ts';

const summaryBody = latentSummarySchema.openapi('LatentSummary');
/** As it is printed, so that a latent has one address. */
const latentNumberSchema = z
  .string()
  .regex(/^(0|[1-9]\d{0,7})$/)
  .transform(Number)
  .openapi({ type: 'integer', minimum: 0 });
const tags = ['saes'];

const list = createRoute({
  ...keyed('saes:read'),
  method: 'get',
  path: '/v1/saes/{id}/latents',
  tags,
  summary: 'List the latents of an SAE',
  request: {
    params: z.object({ id: saeIdSchema }),
    query: pageQuery.extend({ sort: z.enum(LATENT_SORTS).default('latent') }),
  },
  responses: {
    200: json(page(summaryBody), 'By number, or by the quantity named in `sort` from the largest down'),
    ...problems(...KEYED, 'not_found', 'parameter_invalid'),
  },
});
const read = createRoute({
  ...keyed('saes:read'),
  method: 'get',
  path: '/v1/saes/{id}/latents/{latent}',
  tags,
  summary: 'Read one latent: when it fires, on what, and what it does',
  request: { params: z.object({ id: saeIdSchema, latent: latentNumberSchema }) },
  responses: {
    200: json(latentSchema.openapi('Latent'), 'The latent; both signs of its code are shown'),
    ...problems(...KEYED, 'not_found'),
  },
});

async function indexOf(env: Env, sae: PublishedResult): Promise<LatentIndex> {
  const index = (await readJsonBlob(env, sae, LATENT_INDEX_BLOB)) as LatentIndex | null;
  if (!index) {
    throw new SextantError('not_found', `the latents of ${sae.id} were not described`);
  }
  return index;
}

export default function registerSaeLatents(app: App): void {
  app.openapi(list, async (c) => {
    const { sort, ...query } = c.req.valid('query');
    const sae = await readPublished(c.env, c.get('key').tenant, 'sae', c.req.valid('param').id);
    const index = await indexOf(c.env, sae);
    const { positive, negative, maximum, minimum } = index.columns;
    const sorted = latentOrder(index, sort).map((latent, place) => ({ latent, place }));
    const order = byNumber(`latents ${sae.id} ${sort}`, 0, ({ place }: (typeof sorted)[number]) => place + 1);
    const read = (start: number, limit: number) => sorted.slice(start, start + limit);
    const body = await pageOf(c, query, order, read, ({ latent }) => ({
      latent,
      positive: positive[latent]!,
      negative: negative[latent]!,
      maximum: maximum[latent]!,
      minimum: minimum[latent]!,
    }));
    for (const [name, value] of publishedCaching(sae)) {
      c.header(name, value);
    }
    return c.json(body, 200);
  });

  app.openapi(read, async (c) => {
    const { id, latent } = c.req.valid('param');
    const sae = await readPublished(c.env, c.get('key').tenant, 'sae', id);
    const { count, shard } = await indexOf(c.env, sae);
    if (latent >= count) {
      throw new SextantError('not_found', `${id} has latents 0 to ${count - 1}`);
    }
    const part = (await readJsonBlob(c.env, sae, latentShardBlob(Math.floor(latent / shard)))) as Latent[] | null;
    const found = part?.[latent % shard];
    if (!found) {
      throw new SextantError('not_found', `latent ${latent} of ${id} was not described`);
    }
    for (const [name, value] of publishedCaching(sae)) {
      c.header(name, value);
    }
    return c.json(found, 200);
  });
}
