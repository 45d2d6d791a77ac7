/** An API key as the edge knows it after a successful check. */
import { SCOPES, type Scope } from '../../shared/contracts/scope.ts';

/** What a request counts against: `anonymous` (by address) is never a key's. */
const KEY_POLICIES = ['reads', 'writes', 'jobs'] as const;
export type KeyPolicy = (typeof KEY_POLICIES)[number];

export type AccessKey = {
  readonly id: string;
  readonly tenant: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Requests per minute, by policy. */
  readonly limits: Readonly<Record<KeyPolicy, number>>;
  /** Device seconds that its jobs may take each day (UTC); null without a cap of its own. */
  readonly device_seconds_per_day: number | null;
  /** Milliseconds since the epoch; infinity where the key does not expire. */
  readonly expiresAt: number;
};

/** Row of the D1 table `keys`. */
export type KeyRow = {
  id: string;
  tenant: string;
  name: string;
  hash: string;
  scopes: string;
  limits: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
};

/** What a row's `limits` may hold: requests per minute by policy, and device seconds. */
export type KeyLimits = Partial<Record<KeyPolicy | 'device_seconds_per_day', number>>;
export const limitsOf = (row: Pick<KeyRow, 'limits'>): KeyLimits => JSON.parse(row.limits) as KeyLimits;

/** Scopes of a row; a scope that this version does not know grants nothing. */
export const scopesOf = (row: Pick<KeyRow, 'scopes'>): Scope[] =>
  (JSON.parse(row.scopes) as string[]).filter((s): s is Scope => (SCOPES as readonly string[]).includes(s));
