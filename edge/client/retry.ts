/** When a request is tried again, and how long after. */

/** Nothing else is: a refusal stays one. */
const RETRIED = new Set([408, 429, 502, 503, 504]);
const [FIRST_MS, LONGEST_MS] = [250, 8000];

/** An answer that may be another the next time; 409 only for a request under the same key that is still in flight. */
export const isPassing = (status: number, code: string): boolean =>
  RETRIED.has(status) || (status === 409 && code === 'idempotency_in_flight');

/**
 * Seconds that `Retry-After` asks for, in either form (RFC 9110, 10.2.3); null without one. A date is measured from the
 * answer's own `Date`, since this machine's clock may be wrong.
 */
export function retryAfterS(headers: Headers, now: number): number | null {
  const text = headers.get('retry-after')?.trim();
  if (!text) {
    return null;
  }
  if (/^\d{1,9}$/.test(text)) {
    return Number(text);
  }
  const at = Date.parse(text);
  const clock = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(at) ? null : Math.max(0, (at - (Number.isNaN(clock) ? now : clock)) / 1000);
}

/**
 * Milliseconds before try number `attempt` + 1: what the service asked for and up to a tenth more, or a random share of a
 * window that doubles, so that clients that failed together do not come back together.
 */
export function delayMs(attempt: number, askedS: number | null, random: () => number): number {
  return askedS === null
    ? random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt)
    : askedS * 1000 * (1 + random() / 10) + random() * 50;
}

/** Raises the signal's reason where it is aborted before the time is over. */
export function sleep(ms: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
