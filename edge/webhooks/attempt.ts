/** One attempt to deliver: judged, signed, sent, and nothing of the answer kept but its status. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { nextSpan } from '../../shared/signing/traceparent.ts';
import type { Env } from '../environment.ts';
import { judgeAddress } from './address.ts';
import { retryAfterMs } from './schedule.ts';
import { signatureHeaders } from './signer.ts';

/** The whole of an attempt: name, connection, headers. */
const TIMEOUT_MS = 15_000;

/** `trace`: traceparent of what it tells of. */
export type Message = { id: string; body: string; trace: string | null };
export type AttemptEnd = {
  at: number;
  took_ms: number;
  /** What the receiver answered; null where it did not. */
  status: number | null;
  result: 'delivered' | 'failed' | 'gone';
  detail: string;
  /** What the receiver asked for by Retry-After. */
  wish_ms: number | null;
};

export async function attempt(
  env: Env,
  address: string,
  secrets: readonly string[],
  { id, body, trace }: Message,
): Promise<AttemptEnd> {
  const at = Date.now();
  const end = (status: number | null, result: AttemptEnd['result'], detail: string, wish_ms: number | null = null) => ({
    at,
    took_ms: Date.now() - at,
    status,
    result,
    detail,
    wish_ms,
  });
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const url = await judgeAddress(env, address);
    const headers = await signatureHeaders(secrets, { id, at, body });
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'manual',
      signal,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Sextant-Webhooks',
        ...headers,
        ...(trace ? { traceparent: nextSpan(trace) } : {}),
      },
    });
    // never read: shown to the tenant, it would be a way to read private networks
    await response.body?.cancel();
    const { status } = response;
    if (response.ok) {
      return end(status, 'delivered', 'delivered');
    }
    if (status === 410) {
      return end(status, 'gone', 'gone: not tried again');
    }
    const detail = status >= 300 && status < 400 ? 'redirects are not followed' : 'the answer is not 2xx';
    return end(status, 'failed', detail, retryAfterMs(response.headers.get('retry-after'), Date.now()));
  } catch (error) {
    if (error instanceof SextantError) {
      return end(null, 'failed', `${error.code}: ${error.message}`);
    }
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    return end(null, 'failed', late ? `no answer within ${TIMEOUT_MS / 1000} s` : 'no connection');
  }
}
