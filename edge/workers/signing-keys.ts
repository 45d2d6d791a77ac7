/** The edge's own signing keys: the first signs, all are published, so that a new key can be known before it is used. */
import type { JWK } from 'jose';
import type { SigningKey } from '../../shared/signing/envelope.ts';
import { type PublishedKeys, publicKeys } from '../../shared/signing/key-set.ts';

let parsed: { text: string; keys: SigningKey[] } | null = null;

/** The keys of the secret `SIGNING_KEYS`, a private JWK set. Raises an Error that names the secret when it is unusable. */
export function signingKeys(env: { readonly SIGNING_KEYS: string }): [SigningKey, ...SigningKey[]] {
  if (parsed?.text !== env.SIGNING_KEYS) {
    const { keys } = JSON.parse(env.SIGNING_KEYS || '{}') as { keys?: JWK[] };
    const usable = keys?.filter((jwk) => jwk.kid && jwk.crv === 'Ed25519' && jwk.d && jwk.x) ?? [];
    if (usable.length === 0) {
      throw new Error('SIGNING_KEYS holds no private Ed25519 key with a kid');
    }
    parsed = { text: env.SIGNING_KEYS, keys: usable.map((jwk) => ({ kid: jwk.kid ?? '', jwk })) };
  }
  return parsed.keys as [SigningKey, ...SigningKey[]];
}

export const publishedKeys = (env: { readonly SIGNING_KEYS: string }): PublishedKeys => publicKeys(signingKeys(env));
