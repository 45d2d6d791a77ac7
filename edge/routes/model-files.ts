/** `GET /v1/models/{id}/files/{name}`: the files of a published model, whole ones whatever they are stored as. */
import { createRoute, z } from '@hono/zod-openapi';
import { modelIdSchema } from '../../shared/contracts/manifest.ts';
import { type App, PUBLIC_TENANT } from '../environment.ts';
import { conditionalRead } from '../http/conditions.ts';
import { KEYED, keyed, problems } from '../http/declaration.ts';
import { contentRange, rangeOf } from '../http/range.ts';
import { modelBytes, modelFile } from '../published/model-file.ts';
import { readPublished } from '../published/reading.ts';

const bytes = { content: { 'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) } } };
const read = createRoute({
  ...keyed('models:read'),
  method: 'get',
  path: '/v1/models/{id}/files/{name}',
  tags: ['models'],
  summary: 'Read a file of a published model, or a range of it',
  request: { params: z.object({ id: modelIdSchema, name: z.string().min(1).max(200) }) },
  responses: {
    200: { description: 'The bytes', ...bytes },
    206: { description: 'The range', ...bytes },
    304: { description: 'If-None-Match names the bytes' },
    ...problems(...KEYED, 'not_found', 'range_unsatisfiable', 'precondition_failed', 'parameter_invalid'),
  },
});

export default function registerModelFiles(app: App): void {
  app.openapi(read, async (c) => {
    const { id, name } = c.req.valid('param');
    const result = await readPublished(c.env, c.get('key').tenant, 'model', id);
    const file = modelFile(result, name);
    const headers: Record<string, string> = {
      etag: `"${file.digest}"`,
      'cache-control': result.tenant === PUBLIC_TENANT ? 'public, max-age=31536000, immutable' : 'private, max-age=300',
      vary: 'Authorization',
      'accept-ranges': 'bytes',
      'content-type': file.media_type,
      'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name)}`,
      'content-security-policy': "default-src 'none'; sandbox",
    };
    if (conditionalRead(c.req.raw.headers, headers.etag!) === 'unchanged') {
      return c.body(null, 304, headers) as never;
    }
    const range = rangeOf(c.req.raw.headers, headers.etag!, file.bytes);
    const wanted = range ?? { offset: 0, length: file.bytes };
    if (range) {
      headers['content-range'] = contentRange(range, file.bytes);
    }
    return c.body(modelBytes(c.env, result.tenant, file, wanted), range ? 206 : 200, headers) as never;
  });
}
