/** `POST /v1/tenant-deletions`: everything the tenant has goes, in two steps. */
import { createRoute } from '@hono/zod-openapi';
import { SextantError } from '../../shared/contracts/problem.ts';
import { deleteTenantSchema, tenantDeletionSchema } from '../../shared/contracts/tenant.ts';
import { base32, sha256Hex } from '../../shared/signing/digest.ts';
import { audited } from '../audit/log.ts';
import { holdingsOf } from '../deletion/tenant.ts';
import { eraserOf } from '../deletion/tenant-eraser.ts';
import { type App, PUBLIC_TENANT } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { equalDigests } from '../keys/registry.ts';

const CODE_LIFE_MS = 15 * 60_000;

const route = createRoute({
  ...keyedBody('tenant:delete'),
  method: 'post',
  path: '/v1/tenant-deletions',
  tags: ['tenant'],
  summary: 'Delete the tenant: first without a code, which answers what will go, then with the code',
  request: {
    body: jsonRequest(deleteTenantSchema.openapi('DeleteTenant')),
  },
  responses: {
    200: json(tenantDeletionSchema.openapi('TenantDeletion'), 'What will go, and the code that confirms it'),
    202: { description: 'It is being deleted; its keys no longer work within 30 s' },
    ...problems(...KEYED, ...BODY, 'conflict'),
  },
});

export default function registerTenantDeletions(app: App): void {
  app.openapi(route, async (c) => {
    const { tenant } = c.get('key');
    if (tenant === PUBLIC_TENANT) {
      throw new SextantError('conflict', 'the public tenant cannot be deleted');
    }
    const { confirmation } = c.req.valid('json');
    const now = Date.now();
    if (confirmation === undefined) {
      const code = base32(crypto.getRandomValues(new Uint8Array(16)));
      await audited(c.env, auditOf(c, 'tenant.announce_deletion', tenant), [
        c.env.DB.prepare(
          'INSERT INTO tenant_deletions (tenant, code, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET code = ?2, created_at = ?3',
        ).bind(tenant, await sha256Hex(code), now),
      ]);
      const expires_at = new Date(now + CODE_LIFE_MS).toISOString();
      return c.json({ confirmation: code, expires_at, will_go: await holdingsOf(c.env, tenant) }, 200, {
        'cache-control': 'no-store',
      });
    }
    const row = await c.env.DB.prepare('SELECT code, created_at FROM tenant_deletions WHERE tenant = ?')
      .bind(tenant)
      .first<{ code: string; created_at: number }>();
    const fits = row !== null && equalDigests(row.code, await sha256Hex(confirmation));
    if (!fits || now - row.created_at > CODE_LIFE_MS) {
      throw new SextantError(
        'conflict',
        'the confirmation is not the last one or has run out; ask for another without it',
      );
    }
    await audited(c.env, auditOf(c, 'tenant.delete', tenant), [
      c.env.DB.prepare('UPDATE tenant_deletions SET confirmed_at = ? WHERE tenant = ?').bind(now, tenant),
    ]);
    await eraserOf(c.env, tenant).begin(tenant);
    return c.body(null, 202);
  });
}
