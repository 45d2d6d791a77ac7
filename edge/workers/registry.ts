/** The workers that the operator registered: id, pool, Ed25519 public key. A revocation takes at most 30 s. */
import { BoundedMap } from '../bounded-map.ts';
import type { Env } from '../environment.ts';
import type { WorkerRow } from '../keys/mint.ts';

type RegisteredWorker = { readonly id: string; readonly pool: string; readonly publicKey: CryptoKey };

const CACHE_MS = 30_000;
const CACHE_LIMIT = 1_000;
const cache = new BoundedMap<string, { worker: RegisteredWorker; until: number }>(CACHE_LIMIT);

/** The worker of this id; null where it is unknown, revoked or past its expiry. `now` in ms since the epoch. */
export async function findWorker(env: Env, id: string, now: number): Promise<RegisteredWorker | null> {
  const remembered = cache.get(id);
  if (remembered && now < remembered.until) {
    return remembered.worker;
  }
  const row = await env.DB.prepare('SELECT * FROM workers WHERE id = ?').bind(id).first<WorkerRow>();
  const end = Math.min(row?.expires_at ?? Number.POSITIVE_INFINITY, row?.revoked_at ?? Number.POSITIVE_INFINITY);
  if (!row || end <= now) {
    return null;
  }
  const jwk = JSON.parse(row.jwk) as JsonWebKey;
  const publicKey = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['verify']);
  const worker: RegisteredWorker = { id, pool: row.pool, publicKey };
  cache.set(id, { worker, until: Math.min(now + CACHE_MS, end) });
  return worker;
}
