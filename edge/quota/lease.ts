/**
 * Rate limits. Each isolate leases a share of a key's window from its `QuotaKeeper` and counts down in memory, so that the
 * limit holds over all isolates while most requests pay one subtraction. Callers without a key count by address, in the
 * isolate alone.
 */
import { SextantError } from '../../shared/contracts/problem.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { Env } from '../environment.ts';
import type { AccessKey, KeyPolicy } from '../keys/access-key.ts';
import { type Allowance, WINDOW_MS, WINDOW_S } from './allowance.ts';
import { type Grant, keeperOf } from './keeper.ts';

/** A lease is this share of the limit: what an isolate may leave unused at worst. */
const SHARES = 50;
const ANONYMOUS_PER_MINUTE = 600;
const MEMORY_LIMIT = 10_000;

type Lease = { granted: number; left: number; end: number };
const leases: Record<KeyPolicy, BoundedMap<string, Lease>> = {
  reads: new BoundedMap(MEMORY_LIMIT),
  writes: new BoundedMap(MEMORY_LIMIT),
  jobs: new BoundedMap(MEMORY_LIMIT),
};
/** Counted apart: bad keys from an address do not shut what is open to everybody behind it. */
type Door = 'open' | 'refused';
const anonymous: Record<Door, BoundedMap<string, Lease>> = {
  open: new BoundedMap(MEMORY_LIMIT),
  refused: new BoundedMap(MEMORY_LIMIT),
};

/** Takes one request from the isolate's lease; undefined where a new lease is needed first. `now` in ms. */
export function takeLeased(key: AccessKey, policy: KeyPolicy, now: number): Allowance | undefined {
  const lease = leases[policy].get(key.id);
  if (lease === undefined || lease.granted <= 0 || now >= lease.end) {
    return undefined;
  }
  lease.granted -= 1;
  return { policy, limit: key.limits[policy], left: lease.granted + lease.left, end: lease.end };
}

/** Takes one request of `policy` from the key. Raises quota_exceeded where the window is used up. */
export async function takeQuota(env: Env, key: AccessKey, policy: KeyPolicy, now: number): Promise<Allowance> {
  const taken = takeLeased(key, policy, now);
  if (taken) {
    return taken;
  }
  const limit = key.limits[policy];
  const known = leases[policy].get(key.id);
  const spent = known !== undefined && now < known.end && known.left === 0 && known.granted === 0;
  if (!spent) {
    const grant: Grant = await keeperOf(env, key.id).take(policy, limit, Math.ceil(limit / SHARES));
    const current = leases[policy].get(key.id);
    const carried = current && current.end === grant.end ? current.granted : 0;
    leases[policy].set(key.id, { granted: carried + grant.granted, left: grant.left, end: grant.end });
    const leased = takeLeased(key, policy, now);
    if (leased) {
      return leased;
    }
  }
  throw exceeded({ policy, limit, left: 0, end: leases[policy].get(key.id)!.end }, now);
}

/** Takes one request of a caller without a valid key. Raises quota_exceeded. */
export function takeAnonymous(address: string, now: number, door: Door): Allowance {
  let lease = anonymous[door].get(address);
  if (!lease || now >= lease.end) {
    lease = { granted: ANONYMOUS_PER_MINUTE, left: 0, end: now + WINDOW_MS };
    anonymous[door].set(address, lease);
  }
  const allowance: Allowance = { policy: 'anonymous', limit: ANONYMOUS_PER_MINUTE, left: 0, end: lease.end };
  if (lease.granted <= 0) {
    throw exceeded(allowance, now);
  }
  lease.granted -= 1;
  allowance.left = lease.granted;
  return allowance;
}

const exceeded = (allowance: Allowance, now: number): SextantError => {
  const wait = Math.max(1, Math.ceil((allowance.end - now) / 1000));
  return new SextantError(
    'quota_exceeded',
    `the limit of ${allowance.limit} ${allowance.policy} per ${WINDOW_S} s is used up; ask again in ${wait} s`,
    { retryAfterS: wait, details: allowance },
  );
};
