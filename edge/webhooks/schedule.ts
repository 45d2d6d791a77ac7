/** When a delivery is tried again: the schedule that Standard Webhooks publishes, spread a little. Pure. */

/** Delays before each further try, in seconds. */
export const RETRY_SCHEDULE_S = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400] as const;
/** Either way, so that those that failed together do not come back together. */
const JITTER = 0.2;
/** An endpoint that has not taken anything for this long is disabled. */
export const GIVE_UP_MS = 5 * 86_400_000;

/** `Retry-After` in ms from `now`: seconds or an HTTP date; null for anything else. */
export function retryAfterMs(header: string | null, now: number): number | null {
  if (header === null) {
    return null;
  }
  if (/^\d{1,9}$/.test(header.trim())) {
    return Number(header) * 1000;
  }
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/**
 * Pause in ms after the try number `tries` (from 1); null after the last. `random` in [0, 1). A receiver's wish counts
 * between one and two times the planned pause.
 */
export function pauseAfter(tries: number, random: number, wish_ms: number | null): number | null {
  const planned_s = RETRY_SCHEDULE_S[tries - 1];
  if (planned_s === undefined) {
    return null;
  }
  const planned = planned_s * 1000 * (1 - JITTER + 2 * JITTER * random);
  return Math.round(wish_ms === null ? planned : Math.min(2 * planned, Math.max(planned, wish_ms)));
}
