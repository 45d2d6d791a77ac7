/**
 * Webhooks of the Hugging Face Hub, version 3 (https://huggingface.co/docs/hub/webhooks): the secret travels as it is in
 * `X-Webhook-Secret`, and the commits of a push stand in `updatedRefs`.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { base32 } from '../../../shared/signing/digest.ts';
import { equalTexts, type InboundProvider, idIn, ignore, isObject, objectOf, textAt } from './provider.ts';

/** Scopes that the documentation names. A narrower one that it does not name is an update of its parent. */
const SCOPES = ['repo', 'repo.content', 'repo.config', 'discussion', 'discussion.comment'];
const KINDS: Record<string, string> = { model: '', dataset: 'datasets/', space: 'spaces/' };

function knownScope(scope: string): string {
  for (let at = scope; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    if (SCOPES.includes(at)) {
      return at;
    }
  }
  return scope;
}

export const huggingface: InboundProvider = {
  secret(text) {
    if (/^[\x21-\x7e]{12,256}$/.test(text)) {
      return text;
    }
    throw new SextantError('validation_failed', '/secret: 12 to 256 printable ASCII characters without blanks');
  },
  newSecret: () => base32(crypto.getRandomValues(new Uint8Array(32))),

  async verify({ url, headers }, secrets) {
    if (url.searchParams.has('secret')) {
      throw new SextantError('signature_invalid', 'the secret must not stand in the address, where it is logged');
    }
    const presented = headers.get('x-webhook-secret') ?? '';
    const equal = await Promise.all(secrets.map((secret) => equalTexts(secret, presented)));
    if (presented === '' || !equal.includes(true)) {
      throw new SextantError(
        'signature_invalid',
        presented === '' ? 'the header X-Webhook-Secret is missing' : 'X-Webhook-Secret is not the secret of this hook',
      );
    }
  },

  senderId: (headers) => idIn(headers, 'webhook-id'),

  read({ headers, body }, { ref }) {
    const payload = objectOf(body);
    const scope = textAt(payload, 'event', 'scope');
    const action = textAt(payload, 'event', 'action');
    const name = textAt(payload, 'repo', 'name');
    const kind = textAt(payload, 'repo', 'type');
    const known = knownScope(scope);
    if (known === 'repo.config' || !known.startsWith('repo')) {
      return ignore('event_ignored', `${scope} changes no content`);
    }
    if (known === scope && action === 'delete') {
      return ignore('event_ignored', `${scope} was deleted`);
    }
    const refs = Array.isArray(payload.updatedRefs) ? payload.updatedRefs.filter(isObject) : [];
    const updated = refs.find((one) => one.ref === ref);
    if (!updated) {
      const names = refs.map((one) => String(one.ref).slice(0, 100)).join(', ');
      return ignore('ref_unknown', `the hook watches ${ref}; this delivery updates ${names || 'no ref'}`);
    }
    const { newSha, oldSha } = updated;
    if (typeof newSha !== 'string' || isNone(newSha)) {
      return ignore('ref_deleted', `${ref} was deleted`);
    }
    return {
      event: {
        repository: `${KINDS[kind] ?? `${kind}/`}${name}`,
        ref,
        // never repo.headSha: that is the head of main, whatever was pushed
        revision: newSha,
        previous_revision: typeof oldSha === 'string' && !isNone(oldSha) ? oldSha : null,
        tag: null,
        delivery: idIn(headers, 'webhook-id') ?? newSha,
      },
    };
  },
};

/** An absent commit is null, empty or zeros. */
const isNone = (hash: string): boolean => /^0*$/.test(hash);
