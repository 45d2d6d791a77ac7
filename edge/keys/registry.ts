/**
 * Checking presented keys. What was found is kept in the isolate's memory for at most 30 s, keyed by the presented text,
 * so that a request in between costs no digest and no query; a revocation therefore takes at most 30 s.
 */
import { sha256Hex } from '../../shared/signing/digest.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { Env } from '../environment.ts';
import { type AccessKey, type KeyRow, limitsOf, scopesOf } from './access-key.ts';
import { keyIdOf } from './mint.ts';

export const KEY_CACHE_MS = 30_000;
const CACHE_LIMIT = 2_000;

const cache = new BoundedMap<string, { key: AccessKey; until: number }>(CACHE_LIMIT);

/** The key as long as memory vouches for it; undefined says nothing about the key. */
export function rememberedKey(text: string, now: number): AccessKey | undefined {
  const entry = cache.get(text);
  return entry !== undefined && now < entry.until ? entry.key : undefined;
}

/** Forgets a key at once in this isolate; others follow within KEY_CACHE_MS. */
export function forgetKey(id: string): void {
  for (const [text, entry] of cache) {
    if (entry.key.id === id) {
      cache.delete(text);
    }
  }
}

/** The one comparison of secrets in the edge: time depends on the length alone. */
export function equalDigests(a: string, b: string): boolean {
  if (a.length !== b.length) {
    return false;
  }
  let difference = 0;
  for (let i = 0; i < a.length; i += 1) {
    difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  }
  return difference === 0;
}

const endOf = (row: KeyRow): number =>
  Math.min(row.expires_at ?? Number.POSITIVE_INFINITY, row.revoked_at ?? Number.POSITIVE_INFINITY);

const accessKeyOf = (env: Env, row: KeyRow): AccessKey => {
  const { device_seconds_per_day = null, ...limits } = limitsOf(row);
  return {
    id: row.id,
    tenant: row.tenant,
    scopes: new Set(scopesOf(row)),
    limits: {
      reads: env.READS_PER_MINUTE,
      writes: env.WRITES_PER_MINUTE,
      jobs: env.JOBS_PER_MINUTE,
      ...limits,
    },
    device_seconds_per_day,
    expiresAt: endOf(row),
  };
};

/** The key of this id, for work that goes on in its name; null where it is unknown, revoked or past its expiry. */
export async function findKey(env: Env, id: string, now: number): Promise<AccessKey | null> {
  const row = await env.DB.prepare('SELECT * FROM keys WHERE id = ?').bind(id).first<KeyRow>();
  return row && endOf(row) > now ? accessKeyOf(env, row) : null;
}

/** The key that `text` proves possession of; null where it is malformed, unknown, revoked or past its expiry. */
export async function checkKey(env: Env, text: string, now: number): Promise<AccessKey | null> {
  const remembered = rememberedKey(text, now);
  if (remembered) {
    return remembered;
  }
  const id = keyIdOf(text);
  if (!id) {
    return null;
  }
  const row = await env.DB.prepare('SELECT * FROM keys WHERE id = ?').bind(id).first<KeyRow>();
  if (!row || !equalDigests(row.hash, await sha256Hex(text))) {
    return null;
  }
  if (endOf(row) <= now) {
    return null;
  }
  const key = accessKeyOf(env, row);
  cache.set(text, { key, until: Math.min(now + KEY_CACHE_MS, key.expiresAt) });
  return key;
}
