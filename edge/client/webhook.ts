/** Verifies webhooks as Standard Webhooks prescribes: `v1` (HMAC-SHA-256) and `v1a` (Ed25519). */
import type { z } from 'zod';
import type { WEBHOOK_EVENTS } from '../../shared/contracts/webhook-event.ts';
import { SextantClientError } from './errors.ts';

export type WebhookEvent = z.output<(typeof WEBHOOK_EVENTS)[keyof typeof WEBHOOK_EVENTS]>;

/** The delivery is not to be believed; answer it with 401. */
export class WebhookVerificationError extends SextantClientError {}

export type WebhookOptions = {
  /** The request's body as it came: bytes, or text that nothing has parsed. A parsed body does not verify. */
  body: Uint8Array<ArrayBuffer> | ArrayBuffer | string;
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** `whsec_…` (v1) or `whpk_…` (v1a); several while one is rotated. */
  secrets: string | readonly string[];
  /** Seconds that the sender's clock may be off either way; 300 unless named. */
  toleranceS?: number;
  /** Milliseconds since the epoch, instead of this machine's clock. */
  now?: number;
};

/** The event, once its signature and time hold. @throws WebhookVerificationError, and TypeError for a body already parsed */
export async function verifyWebhook(options: WebhookOptions): Promise<WebhookEvent> {
  const { body, headers, secrets, toleranceS = 300, now = Date.now() } = options;
  const bytes = bytesOf(body);
  const known = (typeof secrets === 'string' ? [secrets] : secrets).map(secretOf);
  const [id, timestamp, signatures] = (['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const).map((name) =>
    headerOf(headers, name),
  ) as [string, string, string];
  if (!/^\d{1,12}$/.test(timestamp)) {
    throw new WebhookVerificationError('webhook-timestamp: whole seconds since 1970 are expected');
  }
  const offS = Math.abs(now / 1000 - Number(timestamp));
  if (!(offS <= toleranceS)) {
    throw new WebhookVerificationError(
      `webhook-timestamp: ${Math.round(offS)} s from this machine's clock, ${toleranceS} s are allowed; is the clock right?`,
    );
  }
  const content = new Uint8Array([...new TextEncoder().encode(`${id}.${timestamp}.`), ...bytes]);
  for (const presented of signatures.split(' ')) {
    const [version = '', signature = ''] = presented.split(',');
    const raw = fromBase64(signature);
    for (const secret of known) {
      if (raw !== null && secret.version === version && (await holds(secret, raw, content))) {
        return JSON.parse(new TextDecoder().decode(bytes)) as WebhookEvent;
      }
    }
  }
  throw new WebhookVerificationError(
    `webhook-signature: none of ${known.length} secret(s) made it; is the secret this endpoint's, and the body as it came?`,
  );
}

type Secret = { version: 'v1' | 'v1a'; raw: Uint8Array<ArrayBuffer> };

function secretOf(text: string): Secret {
  const version = text.startsWith('whsec_') ? 'v1' : text.startsWith('whpk_') ? 'v1a' : null;
  const raw = fromBase64(text.slice(text.indexOf('_') + 1));
  if (version === null || raw === null || raw.length === 0 || (version === 'v1a' && raw.length !== 32)) {
    throw new TypeError('secrets: whsec_ (v1) or whpk_ (v1a) and base64 are expected');
  }
  return { version, raw };
}

/** Both comparisons are WebCrypto's own, in constant time. */
async function holds({ version, raw }: Secret, signature: Uint8Array<ArrayBuffer>, content: Uint8Array<ArrayBuffer>) {
  const algorithm = version === 'v1' ? { name: 'HMAC', hash: 'SHA-256' } : { name: 'Ed25519' };
  const key = await crypto.subtle.importKey('raw', raw, algorithm, false, ['verify']);
  return crypto.subtle.verify(algorithm.name, key, signature, content);
}

function bytesOf(body: WebhookOptions['body']): Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') {
    return new TextEncoder().encode(body) as Uint8Array<ArrayBuffer>;
  }
  if (body instanceof ArrayBuffer) {
    return new Uint8Array(body);
  }
  if (body instanceof Uint8Array) {
    return body;
  }
  throw new TypeError('body: the bytes as they came are expected; parsed JSON is not what was signed');
}

function headerOf(headers: WebhookOptions['headers'], name: string): string {
  const found =
    headers instanceof Headers
      ? headers.get(name)
      : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  const value = typeof found === 'object' && found !== null ? found[0] : found;
  if (!value) {
    throw new WebhookVerificationError(`${name}: this header is missing; pass the headers as they came`);
  }
  return value;
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}
