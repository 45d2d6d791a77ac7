/** Signs webhooks as Standard Webhooks prescribes: `v1` (HMAC-SHA-256) and `v1a` (Ed25519) over `{id}.{timestamp}.{body}`. */

export type Scheme = 'v1' | 'v1a';

const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const urlSafe = (text: string): string => text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

/** A new secret: `whsec_` and 32 random bytes, or `whsk_` and an Ed25519 key (seed, then public key). */
export async function newSecret(scheme: Scheme): Promise<string> {
  if (scheme === 'v1') {
    return `whsec_${toBase64(crypto.getRandomValues(new Uint8Array(32)))}`;
  }
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { d = '', x = '' } = (await crypto.subtle.exportKey('jwk', pair.privateKey)) as JsonWebKey;
  const raw = (text: string) => fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
  return `whsk_${toBase64(Uint8Array.from([...raw(d), ...raw(x)]))}`;
}

/** What the receiver verifies with: the secret itself, or the public key `whpk_…`. */
export const verifierOf = (secret: string): string =>
  secret.startsWith('whsk_') ? `whpk_${toBase64(fromBase64(secret.slice(5)).slice(32))}` : secret;

async function signature(secret: string, content: Uint8Array<ArrayBuffer>): Promise<string> {
  if (secret.startsWith('whsec_')) {
    const raw = fromBase64(secret.slice('whsec_'.length));
    const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    return `v1,${toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, content)))}`;
  }
  const raw = fromBase64(secret.slice('whsk_'.length));
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    d: urlSafe(toBase64(raw.slice(0, 32))),
    x: urlSafe(toBase64(raw.slice(32))),
  };
  const key = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['sign']);
  return `v1a,${toBase64(new Uint8Array(await crypto.subtle.sign('Ed25519', key, content)))}`;
}

/** The three headers; one signature per secret, so that a receiver may know any of them. `at` in ms since the epoch. */
export async function signatureHeaders(
  secrets: readonly string[],
  { id, at, body }: { id: string; at: number; body: string },
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(at / 1000));
  const content = Uint8Array.from(new TextEncoder().encode(`${id}.${timestamp}.${body}`));
  const signatures = await Promise.all(secrets.map((secret) => signature(secret, content)));
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
