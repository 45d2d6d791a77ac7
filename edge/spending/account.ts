/**
 * One object per tenant: the device seconds of the day. A job reserves its estimate when its turn comes, is charged while it
 * runs, and settled when it has ended; what others have reserved is not there for the taking.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../environment.ts';
import { AccountStore, dayOf } from './account-store.ts';
import { type Caps, readCaps } from './caps.ts';

const SWEEP_MS = 6 * 3_600_000;
/** A cap that was changed in the database alone counts after this long; one set by its route counts at once. */
const CAPS_MS = 30_000;

/** The tenant that an account is of is known to its callers; it need not be stored. */
export type Spender = { tenant: string; key: string; job: string };
/** `full`: what is left today has been reserved by jobs that go on, and may become free. */
type Reservation = 'granted' | 'spent' | 'full';
type Line = { charged: number; reserved: number; cap: number | null };
export type Today = Line & { day: string; keys: (Line & { key: string })[] };

export class SpendingAccount extends DurableObject<Env> {
  readonly #store: AccountStore;
  readonly #caps = new Map<string, { caps: Caps; until: number }>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new AccountStore(ctx.storage.sql);
  }

  /** Puts up to `seconds` aside for a job whose turn it is. */
  async reserve(spender: Spender, seconds: number): Promise<Reservation> {
    const { charged, left } = await this.#left(spender);
    if (charged <= 0) {
      return 'spent';
    }
    if (left <= 0) {
      return 'full';
    }
    this.#store.reserve(spender.job, spender.key, Math.min(seconds, left), Date.now());
    await this.#arm();
    return 'granted';
  }

  /** Charges the job, which has run for `ran` seconds in all; answers how many more it may take today. */
  async charge(spender: Spender, ran: number): Promise<number> {
    this.#store.charge(spender.job, spender.key, ran, Date.now());
    await this.#arm();
    return (await this.#left(spender)).left;
  }

  /** The job has ended after `ran` seconds; again changes nothing. */
  async settle({ key, job }: Spender, ran: number): Promise<void> {
    this.#store.charge(job, key, ran, Date.now());
    this.#store.settle(job);
    await this.#arm();
  }

  /** The day as it stands, with the caps; null for none. */
  async today(tenant: string): Promise<Today> {
    const now = Date.now();
    const keys: Today['keys'] = [];
    let ofTenant = (await readCaps(this.env, tenant, '')).tenant;
    for (const key of this.#store.keys(now)) {
      const caps = await readCaps(this.env, tenant, key);
      ofTenant = caps.tenant;
      keys.push({ key, ...this.#store.spent(key, '', now), cap: told(caps.key) });
    }
    return { day: dayOf(now), ...this.#store.spent(null, '', now), cap: told(ofTenant), keys };
  }

  /** A cap was set: it is read again. */
  capChanged(): void {
    this.#caps.clear();
  }

  /** Forgets everything: the tenant has been deleted. */
  async erase(): Promise<void> {
    this.#store.forget();
    this.#caps.clear();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  override async alarm(): Promise<void> {
    if (this.#store.sweep(Date.now())) {
      await this.ctx.storage.setAlarm(Date.now() + SWEEP_MS);
    }
  }

  /** What is left of the tighter cap: `charged` after what was charged, `left` after what others have reserved as well. */
  async #left({ tenant, key, job }: Spender): Promise<{ charged: number; left: number }> {
    const caps = await this.#capsOf(tenant, key);
    const now = Date.now();
    const [all, own] = [this.#store.spent(null, job, now), this.#store.spent(key, job, now)];
    return {
      charged: Math.min(caps.tenant - all.charged, caps.key - own.charged),
      left: Math.min(caps.tenant - all.charged - all.reserved, caps.key - own.charged - own.reserved),
    };
  }

  async #capsOf(tenant: string, key: string): Promise<Caps> {
    const known = this.#caps.get(key);
    if (known && Date.now() < known.until) {
      return known.caps;
    }
    const caps = await readCaps(this.env, tenant, key);
    this.#caps.set(key, { caps, until: Date.now() + CAPS_MS });
    return caps;
  }

  async #arm(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + SWEEP_MS);
    }
  }
}

const told = (cap: number): number | null => (Number.isFinite(cap) ? cap : null);

export const accountOf = (env: Env, tenant: string): DurableObjectStub<SpendingAccount> =>
  (env.SPENDING as DurableObjectNamespace<SpendingAccount>).getByName(tenant);
