/**
 * One object per tenant that is being deleted: takes everything away, and once more when the keys that other isolates
 * may still remember have run out. It forgets itself at the end.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../environment.ts';
import { KEY_CACHE_MS } from '../keys/registry.ts';
import { log } from '../log.ts';
import { eraseTenant } from './tenant.ts';

const RETRY_MS = 5_000;
type Task = { tenant: string; begun_at: number };

export class TenantEraser extends DurableObject<Env> {
  /** Begins, unless it has begun. */
  async begin(tenant: string): Promise<void> {
    if (await this.ctx.storage.get<Task>('task')) {
      return;
    }
    await this.ctx.storage.put<Task>('task', { tenant, begun_at: Date.now() });
    await this.ctx.storage.setAlarm(Date.now());
  }

  override async alarm(): Promise<void> {
    const task = await this.ctx.storage.get<Task>('task');
    if (!task) {
      return;
    }
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    try {
      await eraseTenant(this.env, task.tenant, Date.now());
    } catch (error) {
      log.error('a tenant is not gone yet', { reason: String(error) });
      return;
    }
    const last = task.begun_at + KEY_CACHE_MS + RETRY_MS;
    if (Date.now() < last) {
      return this.ctx.storage.setAlarm(last);
    }
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }
}

export const eraserOf = (env: Env, tenant: string): DurableObjectStub<TenantEraser> =>
  (env.ERASER as DurableObjectNamespace<TenantEraser>).getByName(tenant);

/** Begins what was confirmed and has not begun: the confirmation and the object's task are two stores. */
export async function beginConfirmed(env: Env): Promise<void> {
  const { results } = await env.DB.prepare(
    'SELECT tenant FROM tenant_deletions WHERE confirmed_at IS NOT NULL LIMIT 100',
  ).all<{ tenant: string }>();
  await Promise.all(results.map(({ tenant }) => eraserOf(env, tenant).begin(tenant)));
}
