/** Names of vectors: pointers that a tenant may move. */
import { createRoute, z } from '@hono/zod-openapi';
import { SextantError } from '../../shared/contracts/problem.ts';
import { vectorNameRowSchema, vectorNameSchema, vectorPointerSchema } from '../../shared/contracts/vector.ts';
import type { App, Env } from '../environment.ts';
import { conditionalRead, ifMatchHolds, ifNoneMatchNames } from '../http/conditions.ts';
import { BODY, json, jsonRequest, KEYED, keyed, keyedBody, page, pageQuery, problems } from '../http/declaration.ts';
import { byKey, pageOf } from '../http/pages.ts';
import { findPublished } from '../published/reading.ts';
import { createName, deleteName, findName, listNames, moveName, readName, type VectorName } from '../vectors/names.ts';

const nameBody = vectorNameRowSchema.openapi('VectorName');
const nameParams = z.object({ name: vectorNameSchema.describe('URL-encoded') });
const ifMatch = z.object({
  'if-match': z
    .string()
    .max(1000)
    .optional()
    .describe('the version to replace, as ETag gave it, or * for any; needed where the name exists'),
});
const conditions = ifMatch.extend({
  'if-none-match': z.string().max(1000).optional().describe('* creates the name only where there is none'),
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
  responses: { 200: json(page(nameBody), 'In the order of the names'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('vectors:read'),
  method: 'get',
  path,
  tags,
  summary: 'Which vector a name points at',
  request: { params: nameParams },
  responses: {
    200: json(nameBody, 'The pointer'),
    304: { description: 'Unchanged' },
    ...problems(...KEYED, 'not_found', 'precondition_failed', 'parameter_invalid'),
  },
});
const put = createRoute({
  ...keyedBody('vectors:write'),
  method: 'put',
  path,
  tags,
  summary: 'Point a name at a vector',
  request: { params: nameParams, headers: conditions, body: jsonRequest(vectorPointerSchema.openapi('VectorPointer')) },
  responses: {
    200: json(nameBody, 'It was moved'),
    201: json(nameBody, 'It was created'),
    ...problems(
      ...KEYED,
      ...BODY,
      'input_not_found',
      'version_mismatch',
      'version_required',
      'precondition_failed',
      'parameter_invalid',
    ),
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
    ...problems(...KEYED, 'not_found', 'version_mismatch', 'version_required', 'parameter_invalid'),
  },
});

const BY_NAME = byKey(({ name }: VectorName) => name);
const view = (row: VectorName): z.infer<typeof nameBody> => ({
  name: row.name,
  id: row.vector,
  version: row.version,
  created_at: new Date(row.created_at).toISOString(),
  updated_at: new Date(row.updated_at).toISOString(),
});
const etagOf = (row: VectorName): string => `"${row.version}"`;

/**
 * The version of an existing name that a request may change. @throws SextantError `version_required` without If-Match,
 * `version_mismatch` where it names another version
 */
function admittedVersion(row: VectorName, ifMatch: string | undefined): number {
  if (ifMatch === undefined) {
    throw new SextantError('version_required', `the name "${row.name}" exists; send If-Match with its version`);
  }
  if (!ifMatchHolds(ifMatch, etagOf(row))) {
    throw otherVersion(row);
  }
  return row.version;
}

const otherVersion = (row: VectorName): SextantError =>
  new SextantError(
    'version_mismatch',
    `the name "${row.name}" is at version ${row.version} and points at ${row.vector}`,
    { details: { version: row.version } },
  );

/** Between reading a name and changing it somebody else did. @throws SextantError always */
async function refuseOvertaken(env: Env, tenant: string, name: string): Promise<never> {
  const row = await findName(env, tenant, name);
  throw row ? otherVersion(row) : absent(name);
}

const absent = (name: string): SextantError =>
  new SextantError('version_mismatch', `there is no name "${name}"; create it without If-Match`);

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
    if (conditionalRead(c.req.raw.headers, etagOf(row)) === 'unchanged') {
      return c.body(null, 304);
    }
    return c.json(view(row), 200);
  });

  app.openapi(put, async (c) => {
    const { tenant } = c.get('key');
    const { name } = c.req.valid('param');
    const { id: vector } = c.req.valid('json');
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = c.req.valid('header');
    if (!(await findPublished(c.env, tenant, [vector])).has(vector)) {
      throw new SextantError('input_not_found', `there is no vector ${vector}`, {
        errors: [{ pointer: '/id', code: 'input_not_found', detail: 'no vector of this tenant has this id' }],
      });
    }
    const now = Date.now();
    const row = await findName(c.env, tenant, name);
    if (row !== null && ifNoneMatch !== undefined && ifNoneMatchNames(ifNoneMatch, etagOf(row))) {
      throw new SextantError('precondition_failed', `the name "${name}" exists, at version ${row.version}`);
    }
    if (row === null) {
      if (ifMatch !== undefined) {
        throw absent(name);
      }
      const created = await createName(c.env, { tenant, name, vector, now });
      if (!created) {
        return refuseOvertaken(c.env, tenant, name);
      }
      c.header('etag', etagOf(created));
      c.header('location', `/v1/vector-names/${encodeURIComponent(name)}`);
      return c.json(view(created), 201);
    }
    const moved = await moveName(c.env, { tenant, name, vector, version: admittedVersion(row, ifMatch), now });
    if (!moved) {
      return refuseOvertaken(c.env, tenant, name);
    }
    c.header('etag', etagOf(moved));
    return c.json(view(moved), 200);
  });

  app.openapi(remove, async (c) => {
    const { tenant } = c.get('key');
    const { name } = c.req.valid('param');
    const version = admittedVersion(await readName(c.env, tenant, name), c.req.valid('header')['if-match']);
    if (!(await deleteName(c.env, { tenant, name, version }))) {
      await refuseOvertaken(c.env, tenant, name);
    }
    return c.body(null, 204);
  });
}
