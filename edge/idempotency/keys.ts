/**
 * Sixteen objects per tenant, which share its keys by the first digit of sha-256(tenant, key): they remember which request
 * used an idempotency key, which id its work got, and how it was answered. The id is fixed before the work begins, so that a
 * repeat after a crash finds the same work. There are few of them, and their names follow from the tenant's, so that nothing
 * has to list them when the tenant is deleted.
 */
import { DurableObject } from 'cloudflare:workers';
import { canonicalJson, sha256Hex } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';

const KEPT_MS = 24 * 3_600_000;
/** A request that works says so every second (`hold`); one that has not for this long is gone, and its place is free. */
const IN_FLIGHT_MS = 4000;

/** `body`: the JSON of a creation's answer, without its secrets; absent where the work is asked for by its location. */
export type FirstAnswer = { status: number; location: string; body?: string };
type Admission =
  /** `resumed`: an earlier try with this id broke off, perhaps after it had done its work. */
  | { state: 'new'; id: string; resumed: boolean }
  | { state: 'in_flight' }
  | { state: 'reused' }
  | { state: 'answered'; answer: FirstAnswer };
type Entry = { fingerprint: string; id: string; held_at: number; kept_until: number; answer: FirstAnswer | null };

const SHARES = '0123456789abcdef';
const PREFIX = 'entry:';
/** Entries that have run out go together, this long after the first. */
const SWEEP_MS = 600_000;
/** What the storage deletes in one call. */
const KEYS_AT_ONCE = 128;

export class Idempotency extends DurableObject<Env> {
  /** Admits the first request of a key; `id` is used unless an earlier try fixed another. */
  async begin(name: string, fingerprint: string, id: string): Promise<Admission> {
    const now = Date.now();
    const entry = await this.#entry(name);
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
    await this.#put(name, { fingerprint, id: kept, held_at: now, kept_until: now + KEPT_MS, answer: null });
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(now + KEPT_MS);
    }
    return { state: 'new', id: kept, resumed: entry !== undefined };
  }

  /** The request is still at work; called while it is. */
  async hold(name: string): Promise<void> {
    await this.#heldAt(name, Date.now());
  }

  /** The request broke off: its repeat goes on at once, with the same id. */
  async release(name: string): Promise<void> {
    await this.#heldAt(name, 0);
  }

  async finish(name: string, answer: FirstAnswer): Promise<void> {
    const entry = await this.#entry(name);
    if (entry) {
      await this.#put(name, { ...entry, answer });
    }
  }

  /** The request was refused before it did anything: the key is free. */
  async abandon(name: string): Promise<void> {
    await this.ctx.storage.delete(PREFIX + name);
  }

  /** Forgets everything: the tenant has been deleted. */
  async erase(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    const entries = [...(await this.ctx.storage.list<Entry>({ prefix: PREFIX }))];
    const left = entries.filter(([, { kept_until }]) => kept_until > now);
    if (left.length === 0) {
      return this.erase();
    }
    const over = entries.filter(([, { kept_until }]) => kept_until <= now).map(([key]) => key);
    for (let i = 0; i < over.length; i += KEYS_AT_ONCE) {
      await this.ctx.storage.delete(over.slice(i, i + KEYS_AT_ONCE));
    }
    await this.ctx.storage.setAlarm(Math.min(...left.map(([, { kept_until }]) => kept_until)) + SWEEP_MS);
  }

  #entry(name: string): Promise<Entry | undefined> {
    return this.ctx.storage.get<Entry>(PREFIX + name);
  }

  #put(name: string, entry: Entry): Promise<void> {
    return this.ctx.storage.put<Entry>(PREFIX + name, entry);
  }

  async #heldAt(name: string, held_at: number): Promise<void> {
    const entry = await this.#entry(name);
    if (entry && !entry.answer) {
      await this.#put(name, { ...entry, held_at });
    }
  }
}

/** What is remembered of one key: the methods of its object, for that key. */
export class RememberedKey {
  readonly #object: DurableObjectStub<Idempotency>;
  readonly #name: string;

  constructor(object: DurableObjectStub<Idempotency>, name: string) {
    this.#object = object;
    this.#name = name;
  }

  begin(fingerprint: string, id: string): Promise<Admission> {
    return this.#object.begin(this.#name, fingerprint, id);
  }
  hold(): Promise<void> {
    return this.#object.hold(this.#name);
  }
  release(): Promise<void> {
    return this.#object.release(this.#name);
  }
  finish(answer: FirstAnswer): Promise<void> {
    return this.#object.finish(this.#name, answer);
  }
  abandon(): Promise<void> {
    return this.#object.abandon(this.#name);
  }
}

const objectOf = (env: Env, tenant: string, share: string): DurableObjectStub<Idempotency> =>
  (env.IDEMPOTENCY as DurableObjectNamespace<Idempotency>).getByName(canonicalJson([tenant, share]));

/** The memory of a tenant's key. */
export async function idempotencyOf(env: Env, tenant: string, key: string): Promise<RememberedKey> {
  const name = await sha256Hex(canonicalJson([tenant, key]));
  return new RememberedKey(objectOf(env, tenant, name.slice(0, 1)), name);
}

/** Forgets all keys of a tenant. */
export async function forgetKeys(env: Env, tenant: string): Promise<void> {
  await Promise.all([...SHARES].map((share) => objectOf(env, tenant, share).erase()));
}

/** What makes two requests the same one: method, path, tenant and the raw bytes of the body. */
export const fingerprintOf = async (
  request: { method: string; path: string },
  tenant: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<string> => sha256Hex(canonicalJson([request.method, request.path, tenant, await sha256Hex(body)]));
