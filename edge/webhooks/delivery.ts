/** Outgoing webhooks as Standard Webhooks prescribes: what is sent, how it is signed, when it is tried again. */
import { Webhook } from 'standardwebhooks';
import type { Env } from '../environment.ts';
import { checkWebhookAddress } from './address.ts';

/** Delays before each further try, in seconds: the schedule that Standard Webhooks publishes. */
const RETRY_SCHEDULE_S = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400] as const;
const TIMEOUT_MS = 15_000;

/** A body that waits for its next try at `next_at` (ms since the epoch; null: never again). */
export type Outgoing = { event_id: string; body: string; tries: number; next_at: number | null };
/** One try: the receiver's status, null where it gave none. */
export type Delivery = { at: number; status: number | null; detail: string };

/** The tenant's signing secret, `whsec_` and base64, derived from the deployment's key. */
export async function webhookSecret(env: Env, tenant: string): Promise<string> {
  const bytes = new TextEncoder().encode(env.WEBHOOK_KEY);
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`webhook:${tenant}`));
  return `whsec_${btoa(String.fromCharCode(...new Uint8Array(mac)))}`;
}

/** Tries once; answers what happened and when to try next (null: never again). */
export async function deliver(
  env: Env,
  tenant: string,
  address: string,
  outgoing: Outgoing,
): Promise<{ delivery: Delivery; next_at: number | null }> {
  const at = Date.now();
  const delay = RETRY_SCHEDULE_S[outgoing.tries];
  const again = delay === undefined ? null : at + delay * 1000;
  try {
    const url = checkWebhookAddress(address, env.WEBHOOK_ALLOW_LOOPBACK === '1');
    const signer = new Webhook(await webhookSecret(env, tenant));
    const response = await fetch(url, {
      method: 'POST',
      body: outgoing.body,
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        'content-type': 'application/json',
        'webhook-id': outgoing.event_id,
        'webhook-timestamp': String(Math.floor(at / 1000)),
        'webhook-signature': signer.sign(outgoing.event_id, new Date(at), outgoing.body),
      },
    });
    await response.body?.cancel();
    const { status } = response;
    if (response.ok) return { delivery: { at, status, detail: 'delivered' }, next_at: null };
    if (status === 410) return { delivery: { at, status, detail: 'gone: not tried again' }, next_at: null };
    return { delivery: { at, status, detail: 'the answer is not 2xx' }, next_at: again };
  } catch (error) {
    return { delivery: { at, status: null, detail: String(error).slice(0, 300) }, next_at: again };
  }
}
