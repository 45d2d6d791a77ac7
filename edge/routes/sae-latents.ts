/** The latents of an SAE: a list that can be sorted, and a page for each. */
import { createRoute, z } from '@hono/zod-openapi';
import {
  LATENT_INDEX_BLOB,
  LATENT_SORTS,
  type Latent,
  type LatentIndex,
  latentOrder,
  latentSchema,
  latentShardBlob,
} from '../../shared/contracts/latent.ts';
import { saeIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App, Env } from '../environment.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { decodeKeyCursor, encodeKeyCursor, nextLink } from '../http/pages.ts';
import { readJsonBlob } from '../published/blobs.ts';
import { type PublishedResult, readPublished } from '../published/reading.ts';
import { publishedCaching } from '../published/view.ts';

const summarySchema = z
  .object({
    latent: z.number(),
    positive: z.number().describe('share of tokens with a positive code'),
    negative: z.number(),
    maximum: z.number(),
    minimum: z.number(),
  })
  .openapi('LatentSummary');
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
    200: json(page(summarySchema), 'By number, or by the quantity named in `sort` from the largest down'),
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
  if (!index) throw new SextantError('not_found', `the latents of ${sae.id} were not described`);
  return index;
}

/** Cursors name the list they belong to and the number of rows before the page. */
const cursorAt = (list: string, offset: number): string => encodeKeyCursor(`${list} ${offset}`);
function offsetOf(cursor: string | undefined, list: string): number {
  if (cursor === undefined) return 0;
  const key = decodeKeyCursor(cursor);
  const offset = key.slice(list.length + 1);
  if (key.startsWith(`${list} `) && /^\d{1,9}$/.test(offset)) return Number(offset);
  throw new SextantError('parameter_invalid', 'the cursor belongs to another list', {
    errors: [
      { pointer: '/cursor', code: 'cursor_invalid', detail: 'it goes on where it was given out: the same id and sort' },
    ],
  });
}

export default function registerSaeLatents(app: App): void {
  app.openapi(list, async (c) => {
    const { limit, cursor, sort } = c.req.valid('query');
    const sae = await readPublished(c.env, c.get('key').tenant, 'sae', c.req.valid('param').id);
    const index = await indexOf(c.env, sae);
    const listed = `latents ${sae.id} ${sort}`;
    const first = offsetOf(cursor, listed);
    const { positive, negative, maximum, minimum } = index.columns;
    const data = latentOrder(index, sort)
      .slice(first, first + limit)
      .map((latent) => ({
        latent,
        positive: positive[latent]!,
        negative: negative[latent]!,
        maximum: maximum[latent]!,
        minimum: minimum[latent]!,
      }));
    const next = first + limit < index.count ? cursorAt(listed, first + limit) : null;
    if (next) c.header('link', nextLink(c.req.url, next));
    for (const [name, value] of publishedCaching(sae)) c.header(name, value);
    return c.json({ data, next_cursor: next }, 200);
  });

  app.openapi(read, async (c) => {
    const { id, latent } = c.req.valid('param');
    const sae = await readPublished(c.env, c.get('key').tenant, 'sae', id);
    const { count, shard } = await indexOf(c.env, sae);
    if (latent >= count) throw new SextantError('not_found', `${id} has latents 0 to ${count - 1}`);
    const part = (await readJsonBlob(c.env, sae, latentShardBlob(Math.floor(latent / shard)))) as Latent[] | null;
    const found = part?.[latent % shard];
    if (!found) throw new SextantError('not_found', `latent ${latent} of ${id} was not described`);
    for (const [name, value] of publishedCaching(sae)) c.header(name, value);
    return c.json(found, 200);
  });
}
