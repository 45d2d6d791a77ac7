/**
 * Counts what one API key used in the current window, over all isolates. The count lives in the object's memory alone: an
 * eviction in mid-window forgets at most that window, and nothing is written for it.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../environment.ts';
import type { KeyPolicy } from '../keys/access-key.ts';
import { WINDOW_MS } from './allowance.ts';

/** `granted` requests for the asking isolate, `left` for all others, until `end` (ms since the epoch). */
export type Grant = { granted: number; left: number; end: number };

export class QuotaKeeper extends DurableObject<Env> {
  readonly #windows = new Map<KeyPolicy, { used: number; end: number }>();

  /** Hands out up to `want` of the `limit` requests of the current window. */
  take(policy: KeyPolicy, limit: number, want: number): Grant {
    const now = Date.now();
    let window = this.#windows.get(policy);
    if (!window || now >= window.end) {
      window = { used: 0, end: (Math.floor(now / WINDOW_MS) + 1) * WINDOW_MS };
      this.#windows.set(policy, window);
    }
    const granted = Math.max(0, Math.min(want, limit - window.used));
    window.used += granted;
    return { granted, left: Math.max(0, limit - window.used), end: window.end };
  }
}

/** The object that counts for this key. */
export const keeperOf = (env: Env, key: string): DurableObjectStub<QuotaKeeper> =>
  (env.QUOTA as DurableObjectNamespace<QuotaKeeper>).getByName(key);
