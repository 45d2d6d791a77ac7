/** Secrets that the service must know again, such as those of webhooks: encrypted in the database under the deployment's key. */
import type { Env } from '../environment.ts';

type Keyed = Pick<Env, 'WEBHOOK_KEY'>;
let imported: { text: string; key: Promise<CryptoKey> } | null = null;

async function derive(text: string): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey('raw', new TextEncoder().encode(text), 'HKDF', false, ['deriveKey']);
  const info = new TextEncoder().encode('sextant sealed secrets');
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info },
    material,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  );
}

function sealingKey(env: Keyed): Promise<CryptoKey> {
  if (imported?.text !== env.WEBHOOK_KEY) {
    imported = { text: env.WEBHOOK_KEY, key: derive(env.WEBHOOK_KEY) };
  }
  return imported.key;
}

const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** The text encrypted (AES-256-GCM), bound to `holder`: moved to another row it does not open. */
export async function seal(env: Keyed, holder: string, text: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const additionalData = new TextEncoder().encode(holder);
  const bytes = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData },
    await sealingKey(env),
    new TextEncoder().encode(text),
  );
  return `${toBase64(iv)}.${toBase64(new Uint8Array(bytes))}`;
}

/** The text that was sealed for `holder`. Raises an Error where it was not, or under another key. */
export async function unseal(env: Keyed, holder: string, sealed: string): Promise<string> {
  const [iv = '', bytes = ''] = sealed.split('.');
  const additionalData = new TextEncoder().encode(holder);
  const text = await crypto.subtle.decrypt(
    { name: 'AES-GCM', iv: fromBase64(iv), additionalData },
    await sealingKey(env),
    fromBase64(bytes),
  );
  return new TextDecoder().decode(text);
}

/** A secret of which, while it is being rotated, an older one still counts. */
export type SealedSecret = { sealed: string; created_at: number; expires_at: number | null };

/** Those that count at `now`, newest first. */
export const live = <S extends { expires_at: number | null }>(secrets: readonly S[], now: number): S[] =>
  secrets.filter(({ expires_at }) => expires_at === null || expires_at > now);

/** The list after a rotation: at most two live ones, the older until `overlap_ms` from now. */
export const rotated = (secrets: readonly SealedSecret[], next: SealedSecret, overlap_ms: number): SealedSecret[] => {
  const [current] = live(secrets, next.created_at);
  const until = next.created_at + overlap_ms;
  const older =
    current && overlap_ms > 0 ? [{ ...current, expires_at: Math.min(current.expires_at ?? until, until) }] : [];
  return [next, ...older];
};
