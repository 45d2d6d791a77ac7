/**
 * One object per sha-256(tenant, key): remembers which request used an idempotency key, which id its work got, and how
 * it was answered. The id is fixed before the work begins, so that a repeat after a crash finds the same work.
 */
import { DurableObject } from 'cloudflare:workers';
import { canonicalJson, sha256Hex } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';

const KEPT_MS = 24 * 3_600_000;
/** A request that works says so every second (`hold`); one that has not for this long is gone, and its place is free. */
const IN_FLIGHT_MS = 4000;

export type FirstAnswer = { status: number; location: string };
type Admission =
  /** `resumed`: an earlier try with this id broke off, perhaps after it had done its work. */
  | { state: 'new'; id: string; resumed: boolean }
  | { state: 'in_flight' }
  | { state: 'reused' }
  | { state: 'answered'; answer: FirstAnswer };
type Entry = { fingerprint: string; id: string; held_at: number; answer: FirstAnswer | null };

export class Idempotency extends DurableObject<Env> {
  /** Admits the first request of a key; `id` is used unless an earlier try fixed another. */
  async begin(fingerprint: string, id: string): Promise<Admission> {
    const now = Date.now();
    const entry = await this.ctx.storage.get<Entry>('entry');
    if (entry && entry.fingerprint !== fingerprint) {
      return { state: 'reused' };
    }
    if (entry?.answer) {
      return { state: 'answered', answer: entry.answer };
    }
    if (entry && now - entry.held_at < IN_FLIGHT_MS) {
      return { state: 'in_flight' };
    }
    const kept = entry?.id ?? id;
    await this.ctx.storage.put<Entry>('entry', { fingerprint, id: kept, held_at: now, answer: null });
    await this.ctx.storage.setAlarm(now + KEPT_MS);
    return { state: 'new', id: kept, resumed: entry !== undefined };
  }

  /** The request is still at work; called while it is. */
  async hold(): Promise<void> {
    await this.#heldAt(Date.now());
  }

  /** The request broke off: its repeat goes on at once, with the same id. */
  async release(): Promise<void> {
    await this.#heldAt(0);
  }

  async #heldAt(held_at: number): Promise<void> {
    const entry = await this.ctx.storage.get<Entry>('entry');
    if (entry && !entry.answer) {
      await this.ctx.storage.put<Entry>('entry', { ...entry, held_at });
    }
  }

  async finish(answer: FirstAnswer): Promise<void> {
    const entry = await this.ctx.storage.get<Entry>('entry');
    if (entry) {
      await this.ctx.storage.put<Entry>('entry', { ...entry, answer });
    }
  }

  /** The request was refused before it did anything: the key is free. */
  async abandon(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }
}

/** The object of a tenant's key. */
export const idempotencyOf = async (env: Env, tenant: string, key: string): Promise<DurableObjectStub<Idempotency>> =>
  (env.IDEMPOTENCY as DurableObjectNamespace<Idempotency>).getByName(await sha256Hex(canonicalJson([tenant, key])));

/** What makes two requests the same one: method, path, tenant and the raw bytes of the body. */
export const fingerprintOf = async (
  request: { method: string; path: string },
  tenant: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<string> => sha256Hex(canonicalJson([request.method, request.path, tenant, await sha256Hex(body)]));
