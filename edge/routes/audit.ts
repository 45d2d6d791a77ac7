/** `GET /v1/audit`: who did what in the caller's tenant. */
import { createRoute, z } from '@hono/zod-openapi';
import { type AuditEntry, auditEntrySchema } from '../../shared/contracts/audit.ts';
import { readAudit } from '../audit/log.ts';
import { takeOperatorEvents } from '../audit/operator-events.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { byNumber, pageOf } from '../http/pages.ts';

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

const NEWEST_ROWS = byNumber('audit', Number.MAX_SAFE_INTEGER, ({ seq }: AuditEntry) => seq);

export default function registerAudit(app: App): void {
  app.openapi(list, async (c) => {
    const { action = null, actor = null, ...query } = c.req.valid('query');
    const of = { tenant: c.get('key').tenant, action, actor };
    await takeOperatorEvents(c.env, of.tenant);
    const read = (before: number, limit: number) => readAudit(c.env, { ...of, before, limit });
    return c.json(await pageOf(c, query, NEWEST_ROWS, read, (row) => row), 200, { 'cache-control': 'no-store' });
  });
}
