/** Names of vectors: pointers that a tenant may move. */
import { createRoute, z } from '@hono/zod-openapi';
import { vectorIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { vectorNameSchema, vectorPointerSchema } from '../../shared/contracts/vector.ts';
import type { App, Env } from '../environment.ts';
import { BODY, json, jsonRequest, KEYED, keyed, keyedBody, page, pageQuery, problems } from '../http/declaration.ts';
import { byKey, pageOf } from '../http/pages.ts';
import { findPublished } from '../published/reading.ts';
import { createName, deleteName, findName, listNames, moveName, readName, type VectorName } from '../vectors/names.ts';

const nameSchema = z
  .object({
    name: vectorNameSchema,
    id: vectorIdSchema,
    version: z.number().int().describe('the ETag, for If-Match'),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi('VectorName');
const nameParams = z.object({ name: vectorNameSchema.describe('URL-encoded') });
const ifMatch = z.object({
  'if-match': z
    .string()
    .max(100)
    .optional()
    .describe('the version to replace, in quotes; needed where the name exists'),
});
const tags = ['vectors'];
const path = '/v1/vector-names/{name}';

const list = createRoute({
  ...keyed('vectors:read'),
  method: 'get',
  path: '/v1/vector-names',
  tags,
  summary: 'List vector names, in their order',
  request: { query: pageQuery },
  responses: { 200: json(page(nameSchema), 'In the order of the names'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('vectors:read'),
  method: 'get',
  path,
  tags,
  summary: 'Which vector a name points at',
  request: { params: nameParams },
  responses: {
    200: json(nameSchema, 'The pointer'),
    304: { description: 'Unchanged' },
    ...problems(...KEYED, 'not_found'),
  },
});
const put = createRoute({
  ...keyedBody('vectors:write'),
  method: 'put',
  path,
  tags,
  summary: 'Point a name at a vector',
  request: { params: nameParams, headers: ifMatch, body: jsonRequest(vectorPointerSchema.openapi('VectorPointer')) },
  responses: {
    200: json(nameSchema, 'It was moved'),
    201: json(nameSchema, 'It was created'),
    ...problems(...KEYED, ...BODY, 'input_not_found', 'version_mismatch', 'version_required'),
  },
});
const remove = createRoute({
  ...keyed('vectors:write', 'writes'),
  method: 'delete',
  path,
  tags,
  summary: 'Delete a name',
  request: { params: nameParams, headers: ifMatch },
  responses: {
    204: { description: 'It is gone' },
    ...problems(...KEYED, 'not_found', 'version_mismatch', 'version_required'),
  },
});

const BY_NAME = byKey(({ name }: VectorName) => name);
const view = (row: VectorName): z.infer<typeof nameSchema> => ({
  name: row.name,
  id: row.vector,
  version: row.version,
  created_at: new Date(row.created_at).toISOString(),
  updated_at: new Date(row.updated_at).toISOString(),
});
const etagOf = (row: VectorName): string => `"${row.version}"`;

/** The version that If-Match names. Raises version_required without one, version_mismatch for what is no version. */
function requiredVersion(header: string | undefined, name: string): number {
  if (header === undefined) {
    throw new SextantError('version_required', `the name "${name}" exists; send If-Match with its version`);
  }
  const match = /^"(\d{1,15})"$/.exec(header.trim());
  if (!match) {
    throw new SextantError('version_mismatch', 'If-Match must hold one version in quotes, as ETag gave it');
  }
  return Number(match[1]);
}

/** Says at which version the name is. Raises version_mismatch always: If-Match never fits a name that does not exist. */
async function refuseVersion(env: Env, tenant: string, name: string): Promise<never> {
  const row = await findName(env, tenant, name);
  if (!row) {
    throw new SextantError('version_mismatch', `there is no name "${name}"; create it without If-Match`);
  }
  const where = `the name "${name}" is at version ${row.version} and points at ${row.vector}`;
  throw new SextantError('version_mismatch', where, { details: { version: row.version } });
}

export default function registerVectorNames(app: App): void {
  app.openapi(list, async (c) => {
    const read = (after: string, limit: number) => listNames(c.env, c.get('key').tenant, after, limit);
    return c.json(await pageOf(c, c.req.valid('query'), BY_NAME, read, view), 200);
  });

  app.openapi(read, async (c) => {
    const row = await readName(c.env, c.get('key').tenant, c.req.valid('param').name);
    c.header('etag', etagOf(row));
    c.header('cache-control', 'private, no-cache');
    c.header('vary', 'Authorization');
    c.header('link', `</v1/vectors/${row.vector}>; rel="item"`);
    if (c.req.header('if-none-match') === etagOf(row)) {
      return c.body(null, 304);
    }
    return c.json(view(row), 200);
  });

  app.openapi(put, async (c) => {
    const { tenant } = c.get('key');
    const { name } = c.req.valid('param');
    const { id: vector } = c.req.valid('json');
    const header = c.req.valid('header')['if-match'];
    if (!(await findPublished(c.env, tenant, [vector])).has(vector)) {
      throw new SextantError('input_not_found', `there is no vector ${vector}`, {
        errors: [{ pointer: '/id', code: 'input_not_found', detail: 'no vector of this tenant has this id' }],
      });
    }
    const now = Date.now();
    if (header === undefined) {
      const created = await createName(c.env, { tenant, name, vector, now });
      if (!created) {
        requiredVersion(undefined, name);
      }
      c.header('etag', etagOf(created!));
      c.header('location', `/v1/vector-names/${encodeURIComponent(name)}`);
      return c.json(view(created!), 201);
    }
    const moved = await moveName(c.env, { tenant, name, vector, version: requiredVersion(header, name), now });
    if (!moved) {
      return refuseVersion(c.env, tenant, name);
    }
    c.header('etag', etagOf(moved));
    return c.json(view(moved), 200);
  });

  app.openapi(remove, async (c) => {
    const { tenant } = c.get('key');
    const { name } = c.req.valid('param');
    await readName(c.env, tenant, name);
    const version = requiredVersion(c.req.valid('header')['if-match'], name);
    if (!(await deleteName(c.env, { tenant, name, version }))) {
      await refuseVersion(c.env, tenant, name);
    }
    return c.body(null, 204);
  });
}
