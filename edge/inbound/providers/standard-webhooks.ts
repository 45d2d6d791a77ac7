/**
 * Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks): `v1` (HMAC-SHA-256) and `v1a` (Ed25519)
 * over `{id}.{timestamp}.{body}`. Written apart from our own signer, which its tests use as the other side.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { hmacKey } from './hmac.ts';
import { type InboundProvider, idIn, objectOf, type Pointers, valueAt } from './provider.ts';

/** Either way. */
const TOLERANCE_S = 300;

function base64Bytes(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}

/** `whsec_…`, `v1,whsec_…` or bare base64 for v1; `whpk_…` or `v1a,whpk_…` for v1a. Canonical: with its prefix. */
function canonicalSecret(text: string): string {
  const bare = text.replaceAll(/\s/g, '').replace(/^v1a?,/, '');
  const asymmetric = bare.startsWith('whpk_');
  const encoded = bare.replace(/^wh(sec|pk)_/, '');
  const bytes = base64Bytes(encoded);
  if (asymmetric && bytes?.length === 32) {
    return `whpk_${encoded}`;
  }
  if (!asymmetric && !bare.startsWith('whsk_') && bytes && bytes.length >= 16 && bytes.length <= 75) {
    return `whsec_${encoded}`;
  }
  throw new SextantError(
    'validation_failed',
    '/secret: whsec_ and base64 of 16 to 75 bytes (v1), or whpk_ and base64 of a public key of 32 bytes (v1a)',
  );
}

async function fits(
  secret: string,
  version: string,
  signature: Uint8Array<ArrayBuffer>,
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const asymmetric = secret.startsWith('whpk_');
  if (asymmetric !== (version === 'v1a')) {
    return false;
  }
  const bytes = base64Bytes(secret.replace(/^wh(sec|pk)_/, ''));
  if (!bytes) {
    return false;
  }
  if (!asymmetric) {
    return crypto.subtle.verify('HMAC', await hmacKey(bytes), signature, signed);
  }
  const key = await crypto.subtle.importKey('raw', bytes, 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, signature, signed);
}

const pointed = (payload: unknown, pointer: string): string | null => {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const value = valueAt(payload, path);
  if (typeof value === 'string' && value !== '' && value.length <= 500) {
    return value;
  }
  throw new SextantError('validation_failed', `${pointer}: the hook expects a text of up to 500 characters here`);
};

const at = (payload: unknown, pointers: Pointers, name: keyof Pointers): string | null =>
  pointers[name] === null ? null : pointed(payload, pointers[name]);

export const standardWebhooks: InboundProvider = {
  secret: canonicalSecret,
  newSecret: () => `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`,

  async verify({ headers, body }, secrets, now) {
    const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => {
      const value = headers.get(name);
      if (value === null || value === '') {
        throw new SextantError('signature_invalid', `the header ${name} is missing`);
      }
      return value;
    }) as [string, string, string];
    if (!/^\d{1,12}$/.test(timestamp)) {
      throw new SextantError('signature_invalid', 'webhook-timestamp is no number of seconds');
    }
    const head = new TextEncoder().encode(`${id}.${timestamp}.`);
    const signed = new Uint8Array(head.length + body.length);
    signed.set(head);
    signed.set(body, head.length);
    const candidates = signatures
      .split(' ')
      .slice(0, 16)
      .flatMap((one) => {
        const [version = '', text = ''] = one.split(',');
        const bytes = version === 'v1' || version === 'v1a' ? base64Bytes(text) : null;
        return bytes ? [{ version, bytes }] : [];
      });
    for (const { version, bytes } of candidates) {
      for (const secret of secrets) {
        if (await fits(secret, version, bytes, signed)) {
          const age = now / 1000 - Number(timestamp);
          if (Math.abs(age) <= TOLERANCE_S) {
            return;
          }
          const when = age > 0 ? `${Math.round(age)} s old` : `${Math.round(-age)} s ahead`;
          throw new SextantError('clock_skew', `webhook-timestamp is ${when}; at most ${TOLERANCE_S} s are accepted`);
        }
      }
    }
    throw new SextantError(
      'signature_invalid',
      'no signature in webhook-signature fits the body under a secret of this hook',
    );
  },

  senderId: (headers) => idIn(headers, 'webhook-id'),

  read({ headers, body }, { pointers }) {
    const payload = objectOf(body);
    const delivery = idIn(headers, 'webhook-id');
    if (!delivery) {
      throw new SextantError('validation_failed', 'webhook-id has 1 to 200 printable characters');
    }
    return {
      event: {
        repository: at(payload, pointers, 'repository'),
        ref: null,
        revision: at(payload, pointers, 'revision'),
        previous_revision: null,
        tag: null,
        delivery,
      },
    };
  },
};
