/** Ed25519 keys for tests. */
import type { webcrypto } from 'node:crypto';
import type { JWK } from 'jose';
import type { SigningKey } from '../../shared/signing/envelope.ts';

/** A new private key with this id. */
export async function newSigningKey(kid: string): Promise<SigningKey> {
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  return { kid, jwk: { ...((await crypto.subtle.exportKey('jwk', pair.privateKey)) as JWK), kid } };
}
