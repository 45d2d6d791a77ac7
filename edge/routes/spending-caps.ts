/** `PUT /v1/spending-caps/{tenant}`: what a tenant's jobs may take each day, the operator's to set. */
import { createRoute, z } from '@hono/zod-openapi';
import { spendingCapSchema } from '../../shared/contracts/usage.ts';
import { audited } from '../audit/log.ts';
import type { App } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { accountOf } from '../spending/account.ts';
import { capStatement } from '../spending/caps.ts';

const capBody = spendingCapSchema.openapi('SpendingCap');
const set = createRoute({
  ...keyedBody('operator'),
  method: 'put',
  path: '/v1/spending-caps/{tenant}',
  tags: ['operator'],
  summary: "Cap a tenant's device seconds per day",
  request: {
    params: z.object({ tenant: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/) }),
    body: jsonRequest(capBody),
  },
  responses: { 200: json(capBody, 'It holds within seconds'), ...problems(...KEYED, ...BODY, 'not_found') },
});

export default function registerSpendingCaps(app: App): void {
  app.openapi(set, async (c) => {
    const { tenant } = c.req.valid('param');
    const cap = c.req.valid('json');
    // in the log of the tenant that it concerns; the actor is the operator's key
    await audited(c.env, { ...auditOf(c, 'spending_cap.set', tenant), tenant }, [
      capStatement(c.env, tenant, cap.device_seconds_per_day),
    ]);
    await accountOf(c.env, tenant).capChanged();
    return c.json(cap, 200, { 'cache-control': 'no-store' });
  });
}
