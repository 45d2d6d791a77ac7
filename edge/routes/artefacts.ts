/** Artefacts: a tenant's bytes. */
import { createRoute, z } from '@hono/zod-openapi';
import { announceArtefactSchema, artefactGrantSchema, artefactSchema } from '../../shared/contracts/artefact.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { blobKey } from '../artefacts/addresses.ts';
import { commitUpload, deleteArtefact, grantUpload } from '../artefacts/grant.ts';
import { type ArtefactRow, listArtefacts, readArtefact } from '../artefacts/reading.ts';
import { type App, PUBLIC_TENANT } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { conditionalRead } from '../http/conditions.ts';
import { BODY, json, jsonRequest, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { newestFirst, type Position, pageOf } from '../http/pages.ts';
import { contentRange, rangeOf } from '../http/range.ts';
import { idempotencyHeader, keyedOnce, ONCE } from '../idempotency/declaration.ts';

const artefactBody = artefactSchema.openapi('Artefact');
const grantBody = artefactGrantSchema.openapi('ArtefactGrant');
const announceBody = announceArtefactSchema.openapi('AnnounceArtefact');
const idParams = z.object({ id: randomIdSchema('art') });
const tags = ['artefacts'];

const create = createRoute({
  ...keyedOnce('artefacts:write'),
  method: 'post',
  path: '/v1/artefacts',
  tags,
  summary: 'Announce bytes and get an address to upload them to',
  request: { headers: idempotencyHeader, body: jsonRequest(announceBody) },
  responses: {
    201: json(grantBody, 'The artefact; send the bytes, then commit'),
    ...problems(...KEYED, ...BODY, ...ONCE, 'artefact_mismatch', 'unavailable'),
  },
});
const commit = createRoute({
  ...keyed('artefacts:write', 'writes'),
  method: 'post',
  path: '/v1/artefacts/{id}/commit',
  tags,
  summary: 'Have uploaded bytes checked and stored',
  request: { params: idParams },
  responses: {
    200: json(artefactBody, 'Stored'),
    ...problems(...KEYED, 'not_found', 'artefact_missing', 'artefact_mismatch', 'unavailable'),
  },
});
const list = createRoute({
  ...keyed('artefacts:read'),
  method: 'get',
  path: '/v1/artefacts',
  tags,
  summary: 'List artefacts',
  request: { query: pageQuery.extend({ job: randomIdSchema('job').optional() }) },
  responses: { 200: json(page(artefactBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const bytes = { content: { 'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) } } };
const read = createRoute({
  ...keyed('artefacts:read'),
  method: 'get',
  path: '/v1/artefacts/{id}',
  tags,
  summary: "Read an artefact's bytes, or a range of them",
  request: { params: idParams },
  responses: {
    200: { description: 'The bytes', ...bytes },
    206: { description: 'The range', ...bytes },
    304: { description: 'If-None-Match names the bytes' },
    ...problems(
      ...KEYED,
      'not_found',
      'artefact_missing',
      'range_unsatisfiable',
      'precondition_failed',
      'parameter_invalid',
    ),
  },
});
const remove = createRoute({
  ...keyed('artefacts:write', 'writes'),
  method: 'delete',
  path: '/v1/artefacts/{id}',
  tags,
  summary: 'Delete an artefact',
  request: { params: idParams },
  responses: { 204: { description: 'It is gone' }, ...problems(...KEYED, 'not_found') },
});

const instant = (ms: number): string => new Date(ms).toISOString();
const view = (row: ArtefactRow): z.infer<typeof artefactBody> => ({
  id: row.id,
  name: row.name,
  sha256: row.sha256,
  bytes: row.bytes,
  media_type: row.media_type,
  job: row.tenant === PUBLIC_TENANT ? null : row.job,
  state: row.state,
  created_at: instant(row.created_at),
  expires_at: row.expires_at === null ? null : instant(row.expires_at),
});

/** Tenants choose the media type, so a browser must neither guess one nor run anything on this origin. */
const contentHeaders = (row: ArtefactRow): Record<string, string> => ({
  etag: `"${row.sha256}"`,
  'cache-control': row.tenant === PUBLIC_TENANT ? 'public, max-age=31536000, immutable' : 'private, max-age=300',
  vary: 'Authorization',
  'accept-ranges': 'bytes',
  'content-type': row.media_type,
  'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(row.name).replaceAll("'", '%27')}`,
  'content-security-policy': "default-src 'none'; sandbox",
});

export default function registerArtefacts(app: App): void {
  app.openapi(create, async (c) => {
    const grant = await grantUpload(c.env, c.get('key').tenant, c.req.valid('json'), Date.now());
    const { row, url, url_expires } = grant;
    c.header('location', `/v1/artefacts/${row.id}`);
    c.header('cache-control', 'no-store');
    const upload = url === null ? null : { method: 'PUT' as const, url, expires_at: instant(url_expires) };
    return c.json({ ...view(row), upload }, 201);
  });

  app.openapi(commit, async (c) =>
    c.json(view(await commitUpload(c.env, c.get('key').tenant, c.req.valid('param').id, Date.now())), 200),
  );

  app.openapi(list, async (c) => {
    const { job, ...query } = c.req.valid('query');
    const of = { tenant: c.get('key').tenant, job, now: Date.now() };
    const read = (before: Position, limit: number) => listArtefacts(c.env, { ...of, before, limit });
    return c.json(await pageOf(c, query, newestFirst, read, view), 200);
  });

  app.openapi(read, async (c) => {
    const row = await readArtefact(c.env, c.get('key').tenant, c.req.valid('param').id, Date.now());
    if (row.state === 'pending') {
      throw new SextantError(
        'artefact_missing',
        'the bytes have not been committed: upload them, then POST to /commit',
      );
    }
    const headers = contentHeaders(row);
    if (conditionalRead(c.req.raw.headers, headers.etag!) === 'unchanged') {
      return c.body(null, 304, headers) as never;
    }
    const range = rangeOf(c.req.raw.headers, headers.etag!, row.bytes);
    const object = await c.env.R2.get(blobKey(row.tenant, row.sha256), range ? { range } : {});
    if (!object) {
      throw new SextantError('unavailable', `the bytes of ${row.id} cannot be read at this moment`);
    }
    const length = range?.length ?? row.bytes;
    headers['content-length'] = String(length);
    if (range) {
      headers['content-range'] = contentRange(range, row.bytes);
    }
    return c.body(object.body, range ? 206 : 200, headers) as never;
  });

  app.openapi(remove, async (c) => {
    await deleteArtefact(c.env, auditOf(c, 'artefact.delete', c.req.valid('param').id), Date.now());
    return c.body(null, 204);
  });
}
