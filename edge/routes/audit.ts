/** `GET /v1/audit`: who did what in the caller's tenant. */
import { createRoute, z } from '@hono/zod-openapi';
import { auditEntrySchema } from '../../shared/contracts/audit.ts';
import { readAudit } from '../audit/log.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { decodeKeyCursor, encodeKeyCursor, nextLink } from '../http/pages.ts';

const list = createRoute({
  ...keyed('audit:read'),
  method: 'get',
  path: '/v1/audit',
  tags: ['audit'],
  summary: 'Read the audit log, newest first',
  request: {
    query: pageQuery.extend({
      action: z.string().max(60).optional().describe('such as key.create'),
      actor: z.string().max(60).optional().describe('id of a key'),
    }),
  },
  responses: {
    200: json(page(auditEntrySchema.openapi('AuditEntry')), 'Newest first; `seq` counts without gaps'),
    ...problems(...KEYED, 'parameter_invalid'),
  },
});

export default function registerAudit(app: App): void {
  app.openapi(list, async (c) => {
    const { limit, cursor, action = null, actor = null } = c.req.valid('query');
    const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(decodeKeyCursor(cursor)) || 0;
    const rows = await readAudit(c.env, { tenant: c.get('key').tenant, before, limit: limit + 1, action, actor });
    const data = rows.slice(0, limit);
    const last = data.at(-1);
    const next = rows.length > limit && last ? encodeKeyCursor(String(last.seq)) : null;
    if (next) c.header('link', nextLink(c.req.url, next));
    return c.json({ data, next_cursor: next }, 200, { 'cache-control': 'no-store' });
  });
}
