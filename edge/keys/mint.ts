/**
 * Making keys. Pure apart from randomness, so that the Worker, the tests and the operator's scripts share it: each
 * function gives what its holder keeps and the row that goes into D1.
 */
import { exportJWK, generateKeyPair } from 'jose';
import type { Scope } from '../../shared/contracts/scope.ts';
import { base32, randomId, sha256Hex } from '../../shared/signing/digest.ts';
import type { KeyLimits, KeyRow } from './access-key.ts';

/** `sextant_` + the id's 26 characters + `_` + 256 random bits in base32. */
const KEY_TEXT = /^sextant_([a-z2-7]{26})_([a-z2-7]{52})$/;

/** The key's id, read from the visible part of its text; null where the text is no key at all. */
export function keyIdOf(text: string): string | null {
  const match = KEY_TEXT.exec(text);
  return match ? `key_${match[1]}` : null;
}

/** What may be shown of a key after its creation. */
export const visiblePrefix = (id: string): string => `sextant_${id.slice('key_'.length)}_`;

type NewKey = {
  tenant: string;
  name: string;
  scopes: readonly Scope[];
  limits?: KeyLimits;
  /** Milliseconds since the epoch. */
  now: number;
  expires_at?: number | null;
};

/** A new API key: `text` is for its holder alone, `row` holds only the digest of it. */
export async function mintKey(of: NewKey): Promise<{ text: string; row: KeyRow }> {
  const id = randomId('key');
  const text = `${visiblePrefix(id)}${base32(crypto.getRandomValues(new Uint8Array(32)))}`;
  const row: KeyRow = {
    id,
    tenant: of.tenant,
    name: of.name,
    hash: await sha256Hex(text),
    scopes: JSON.stringify(of.scopes),
    limits: JSON.stringify(of.limits ?? {}),
    created_at: of.now,
    expires_at: of.expires_at ?? null,
    revoked_at: null,
  };
  return { text, row };
}

export const INSERT_KEY =
  'INSERT INTO keys (id, tenant, name, hash, scopes, limits, created_at, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)';
export const keyValues = (row: KeyRow): (string | number | null)[] => [
  row.id,
  row.tenant,
  row.name,
  row.hash,
  row.scopes,
  row.limits,
  row.created_at,
  row.expires_at,
  row.revoked_at,
];

/** Row of the D1 table `workers`. */
export type WorkerRow = {
  id: string;
  pool: string;
  jwk: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
};

/** A new worker identity: `privateJwk` (Ed25519, with `kid` = id) stays on the worker's host. */
export async function mintWorker(of: {
  pool: string;
  now: number;
  expires_at?: number | null;
}): Promise<{ id: string; privateJwk: Record<string, unknown>; row: WorkerRow }> {
  const id = randomId('wkr');
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const whole = await exportJWK(pair.privateKey);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: whole.x, kid: id, alg: 'EdDSA' };
  const row: WorkerRow = {
    id,
    pool: of.pool,
    jwk: JSON.stringify(jwk),
    created_at: of.now,
    expires_at: of.expires_at ?? null,
    revoked_at: null,
  };
  return { id, privateJwk: { ...jwk, d: whole.d }, row };
}

export const INSERT_WORKER =
  'INSERT INTO workers (id, pool, jwk, created_at, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?)';
export const workerValues = (row: WorkerRow): (string | number | null)[] => [
  row.id,
  row.pool,
  row.jwk,
  row.created_at,
  row.expires_at,
  row.revoked_at,
];

/** Notes what the operator did, for the audit log of the tenant that it concerns. */
export const NOTE_EVENT = 'INSERT INTO operator_events (id, tenant, at, action, target) VALUES (?, ?, ?, ?, ?)';

/** A statement with its values written in, for `wrangler d1 execute --command`, which takes no bound values. */
export function asSql(statement: string, values: readonly (string | number | null)[]): string {
  const rest = [...values];
  return statement.replaceAll('?', () => {
    const value = rest.shift();
    if (value === undefined) {
      throw new TypeError(`too few values for: ${statement}`);
    }
    return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
  });
}
