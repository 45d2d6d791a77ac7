/** What is left of a caller's rate limit, and how answers say it. */
import type { KeyPolicy } from '../keys/access-key.ts';

/** Length of a window; windows of keys start at multiples of it. */
export const WINDOW_MS = 60_000;
export const WINDOW_S = WINDOW_MS / 1000;

/** Of `limit` requests, `left` until `end` (ms since the epoch). */
export type Allowance = { readonly policy: KeyPolicy | 'anonymous'; limit: number; left: number; end: number };

/** The two fields of draft-ietf-httpapi-ratelimit-headers. */
export const rateLimitPolicy = ({ policy, limit }: Allowance): string => `"${policy}";q=${limit};w=${WINDOW_S}`;
export const rateLimit = ({ policy, left, end }: Allowance, now: number): string =>
  `"${policy}";r=${left};t=${Math.max(0, Math.ceil((end - now) / 1000))}`;
