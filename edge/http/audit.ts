/** What the audit log says of a request: who made it, and under which id. */
import type { Context } from 'hono';
import type { AuditEvent } from '../audit/log.ts';
import type { AppEnv } from '../environment.ts';

/** The event of a request with a key; `action` is object.verb, `target` an id. */
export const auditOf = (c: Context<AppEnv>, action: string, target: string): AuditEvent => ({
  tenant: c.get('key').tenant,
  actor: c.get('key').id,
  action,
  target,
  request_id: c.get('requestId'),
});
