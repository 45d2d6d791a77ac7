/** The public keys that an owner of signatures publishes. */
import { z } from 'zod';

const publicKeySchema = z.object({
  kid: z.string().max(200),
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
});

/**
 * A published key set (RFC 7517) of Ed25519 keys (RFC 8037). Keys of other kinds and fields that a newer owner adds are
 * passed over, as the standard asks (section 5): an owner announces a new algorithm before anything is signed by it.
 */
export const keySetSchema = z.object({
  keys: z
    .array(z.unknown())
    .max(64)
    .transform((keys) => keys.flatMap((key) => publicKeySchema.safeParse(key).data ?? [])),
});
