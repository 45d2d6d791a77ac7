/**
 * One object per tenant that is being deleted: takes everything away, and once more when the keys that other isolates
 * may still remember have run out. Upload addresses that were given out cannot be taken back: until the last of them has
 * expired, what arrives there is deleted each half minute. Then it forgets itself.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../environment.ts';
import { KEY_CACHE_MS } from '../keys/registry.ts';
import { log } from '../log.ts';
import { eraseObjects, eraseTenant, lastUploadAt } from './tenant.ts';

const RETRY_MS = 5_000;
const SWEEP_MS = 30_000;
/** `uploads_until`: when nothing can arrive any more; `erased`: only that is waited for. */
type Task = { tenant: string; begun_at: number; uploads_until: number; erased: boolean };

export class TenantEraser extends DurableObject<Env> {
  /** Begins, unless it has begun. */
  async begin(tenant: string): Promise<void> {
    if (await this.ctx.storage.get<Task>('task')) {
      return;
    }
    await this.ctx.storage.put<Task>('task', { tenant, begun_at: Date.now(), uploads_until: 0, erased: false });
    await this.ctx.storage.setAlarm(Date.now());
  }

  override async alarm(): Promise<void> {
    const task = await this.ctx.storage.get<Task>('task');
    if (!task) {
      return;
    }
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    try {
      await (task.erased ? eraseObjects(this.env, task.tenant) : this.#erase(task));
    } catch (error) {
      log.error('a tenant is not gone yet', { reason: String(error) });
      return;
    }
    const now = Date.now();
    const last = task.begun_at + KEY_CACHE_MS + RETRY_MS;
    if (now < last && !task.erased) {
      return this.ctx.storage.setAlarm(last);
    }
    await this.ctx.storage.put<Task>('task', { ...task, erased: true });
    if (now < task.uploads_until) {
      return this.ctx.storage.setAlarm(now + SWEEP_MS);
    }
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  /** Takes everything away, having noted until when to look for more: afterwards no row tells. */
  async #erase(task: Task): Promise<void> {
    task.uploads_until = Math.max(task.uploads_until, await lastUploadAt(this.env, task.tenant));
    await this.ctx.storage.put<Task>('task', task);
    await eraseTenant(this.env, task.tenant, Date.now());
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
