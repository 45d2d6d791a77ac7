/**
 * Webhooks of GitHub (https://docs.github.com/webhooks): an HMAC of the raw bytes in `X-Hub-Signature-256`, the kind of
 * event in `X-GitHub-Event`, the payload as JSON or in a form's field `payload`.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { base32 } from '../../../shared/signing/digest.ts';
import { hmacKey } from './hmac.ts';
import {
  type InboundProvider,
  idIn,
  ignore,
  isZero,
  type JsonObject,
  objectOf,
  type Presented,
  textAt,
} from './provider.ts';

/** GitHub signs the bytes as they travel: a form's too. */
function payloadOf({ headers, body }: Presented): JsonObject {
  if (!/^application\/x-www-form-urlencoded\b/i.test(headers.get('content-type') ?? '')) {
    return objectOf(body);
  }
  const payload = new URLSearchParams(new TextDecoder().decode(body)).get('payload');
  if (payload === null) {
    throw new SextantError('body_malformed', 'the form has no field payload');
  }
  return objectOf(new TextEncoder().encode(payload));
}

function signatureOf(headers: Headers): Uint8Array<ArrayBuffer> {
  const header = headers.get('x-hub-signature-256');
  const match = /^sha256=([0-9a-f]{64})$/i.exec(header?.trim() ?? '');
  if (!match) {
    throw new SextantError(
      'signature_invalid',
      header === null
        ? 'the header X-Hub-Signature-256 is missing'
        : 'X-Hub-Signature-256 is no sha256=<64 hexadecimal digits>',
    );
  }
  return Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt((match[1] ?? '').slice(2 * i, 2 * i + 2), 16));
}

export const github: InboundProvider = {
  secret(text) {
    if (/^[\x20-\x7e]{12,256}$/.test(text)) {
      return text;
    }
    throw new SextantError('validation_failed', '/secret: 12 to 256 printable ASCII characters');
  },
  newSecret: () => base32(crypto.getRandomValues(new Uint8Array(32))),

  async verify({ headers, body }, secrets) {
    const signature = signatureOf(headers);
    for (const secret of secrets) {
      if (
        await crypto.subtle.verify(
          'HMAC',
          await hmacKey(Uint8Array.from(new TextEncoder().encode(secret))),
          signature,
          body,
        )
      ) {
        return;
      }
    }
    throw new SextantError(
      'signature_invalid',
      'X-Hub-Signature-256 does not fit the body under a secret of this hook',
    );
  },

  senderId: (headers) => idIn(headers, 'x-github-delivery'),

  read(presented, { ref }) {
    const kind = presented.headers.get('x-github-event') ?? '';
    if (kind === '') {
      throw new SextantError('validation_failed', 'the header X-GitHub-Event is missing');
    }
    const payload = payloadOf(presented);
    if (kind === 'ping') {
      return ignore('ping', 'the hook is set up');
    }
    const delivery = idIn(presented.headers, 'x-github-delivery');
    if (kind === 'push') {
      const repository = textAt(payload, 'repository', 'full_name');
      const pushed = textAt(payload, 'ref');
      const after = textAt(payload, 'after');
      if (pushed !== ref) {
        return ignore('ref_unknown', `the hook watches ${ref}; this push is to ${pushed.slice(0, 200)}`);
      }
      if (payload.deleted === true || isZero(after)) {
        return ignore('ref_deleted', `${ref} was deleted`);
      }
      const before = typeof payload.before === 'string' && !isZero(payload.before) ? payload.before : null;
      return {
        event: { repository, ref, revision: after, previous_revision: before, tag: null, delivery: delivery ?? after },
      };
    }
    if (kind === 'release') {
      const repository = textAt(payload, 'repository', 'full_name');
      const tag = textAt(payload, 'release', 'tag_name');
      const action = textAt(payload, 'action');
      // one release is told of as created, published and released
      if (action !== 'published') {
        return ignore('event_ignored', `a release that is ${action.slice(0, 40)}, not published`);
      }
      return {
        event: {
          repository,
          ref: `refs/tags/${tag}`,
          revision: null,
          previous_revision: null,
          tag,
          delivery: delivery ?? tag,
        },
      };
    }
    return ignore('event_ignored', `events of the kind ${kind.slice(0, 60)} start nothing; push and release do`);
  },
};
