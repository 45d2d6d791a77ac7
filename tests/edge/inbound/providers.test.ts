/** What providers send, as their documentation records it, and what others might make of it. */
import { describe, expect, it } from 'vitest';
import { INBOUND_PROVIDERS } from '../../../edge/inbound/providers/by-name.ts';
import type { Presented } from '../../../edge/inbound/providers/provider.ts';
import { newSecret, signatureHeaders, verifierOf } from '../../../edge/webhooks/signer.ts';

const bytes = (text: string) => Uint8Array.from(new TextEncoder().encode(text));
const hex = (data: ArrayBuffer) => Array.from(new Uint8Array(data), (b) => b.toString(16).padStart(2, '0')).join('');
const presented = (headers: Record<string, string>, body: unknown, query = ''): Presented => ({
  url: new URL(`https://edge.test/v1/inbound/x/y${query}`),
  headers: new Headers(headers),
  body: bytes(typeof body === 'string' ? body : JSON.stringify(body)),
});
const terms = { ref: 'refs/heads/main', pointers: { repository: null, revision: null } };
const now = Date.now();
const NEW = '575db8b7a51b6f85eb06eee540738584589f131c';
const OLD = '0d3b51c5a5a5fd4a3a0a9c1e7e1cd5ac5bfbc6d8';

describe('huggingface', () => {
  const { verify, read, senderId } = INBOUND_PROVIDERS.huggingface;
  // https://huggingface.co/docs/hub/webhooks#webhook-payload
  const push = (more: Record<string, unknown> = {}) => ({
    event: { action: 'update', scope: 'repo.content' },
    repo: {
      type: 'model',
      name: 'openai-community/gpt2',
      id: '621ffdc036468d709f17434d',
      private: false,
      headSha: 'f'.repeat(40),
    },
    webhook: { id: '6390e855e30d9209411de93b', version: 3 },
    updatedRefs: [
      { ref: 'refs/heads/other', oldSha: OLD, newSha: 'a'.repeat(40) },
      { ref: 'refs/heads/main', oldSha: OLD, newSha: NEW },
    ],
    ...more,
  });

  it('takes the new hash of the watched ref, never the head of main', () => {
    const reading = read(presented({ 'webhook-id': 'wh-1' }, push()), terms);
    expect(reading).toEqual({
      event: {
        repository: 'openai-community/gpt2',
        ref: 'refs/heads/main',
        revision: NEW,
        previous_revision: OLD,
        tag: null,
        delivery: 'wh-1',
      },
    });
    const branch = read(presented({}, push()), { ...terms, ref: 'refs/heads/other' });
    expect(branch).toMatchObject({ event: { revision: 'a'.repeat(40) } });
    expect(senderId(new Headers({ 'webhook-id': 'wh-1' }))).toBe('wh-1');
  });

  it.each([
    ['a deletion', push({ updatedRefs: [{ ref: 'refs/heads/main', oldSha: OLD, newSha: null }] }), 'ref_deleted'],
    ['another ref', push({ updatedRefs: [{ ref: 'refs/pr/1', oldSha: null, newSha: NEW }] }), 'ref_unknown'],
    ['settings', push({ event: { action: 'update', scope: 'repo.config' } }), 'event_ignored'],
    [
      'a narrower kind of settings',
      push({ event: { action: 'update', scope: 'repo.config.visibility' } }),
      'event_ignored',
    ],
    ['a comment', push({ event: { action: 'create', scope: 'discussion.comment' } }), 'event_ignored'],
    ['an unknown kind of discussion', push({ event: { action: 'create', scope: 'discussion.vote' } }), 'event_ignored'],
    ['a deleted repository', push({ event: { action: 'delete', scope: 'repo' } }), 'event_ignored'],
  ])('starts nothing for %s', (_, body, code) => {
    expect(read(presented({}, body), terms)).toMatchObject({ ignored: { code } });
  });

  it('takes an unknown narrower scope for an update of its parent, whatever its action', () => {
    const body = push({ event: { action: 'delete', scope: 'repo.content.lfs' } });
    expect(read(presented({}, body), terms)).toMatchObject({ event: { revision: NEW } });
  });

  it('names data sets and spaces by their kind', () => {
    const body = push({ repo: { type: 'dataset', name: 'a/b' } });
    expect(read(presented({}, body), terms)).toMatchObject({ event: { repository: 'datasets/a/b' } });
  });

  it('knows any live secret, and only in the header', async () => {
    await verify(presented({ 'x-webhook-secret': 'second-secret' }, {}), ['first-secret1', 'second-secret'], now);
    const refused = { code: 'signature_invalid' };
    await expect(
      verify(presented({ 'x-webhook-secret': 'third-secret' }, {}), ['first-secret1'], now),
    ).rejects.toMatchObject(refused);
    await expect(verify(presented({}, {}), [''], now)).rejects.toMatchObject(refused);
    await expect(
      verify(presented({ 'x-webhook-secret': 'first-secret1' }, {}, '?secret=first-secret1'), ['first-secret1'], now),
    ).rejects.toMatchObject(refused);
  });

  it('refuses the body of another provider', () => {
    expect(() => read(presented({}, { ref: 'refs/heads/main', after: NEW }), terms)).toThrow(
      expect.objectContaining({ code: 'validation_failed' }),
    );
    expect(() => read(presented({}, '{"event":'), terms)).toThrow(expect.objectContaining({ code: 'body_malformed' }));
  });
});

describe('github', () => {
  const { verify, read } = INBOUND_PROVIDERS.github;
  const push = {
    ref: 'refs/heads/main',
    before: OLD,
    after: NEW,
    deleted: false,
    repository: { full_name: 'octo-org/octo-repo' },
  };
  const headers = {
    'x-github-event': 'push',
    'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'content-type': 'application/json',
  };

  it('verifies the value that GitHub publishes', async () => {
    // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    const secret = "It's a Secret to Everybody";
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    const good = presented({ 'x-hub-signature-256': signature }, 'Hello, World!');
    await verify(good, ['another secret', secret], now);
    const refused = { code: 'signature_invalid' };
    await expect(
      verify(presented({ 'x-hub-signature-256': signature }, 'Hello, World?'), [secret], now),
    ).rejects.toMatchObject(refused);
    await expect(verify(good, ['another secret'], now)).rejects.toMatchObject(refused);
    for (const header of ['sha256=', signature.slice(0, -2), signature.replace('sha256', 'sha1'), `${signature}00`]) {
      await expect(
        verify(presented({ 'x-hub-signature-256': header }, 'Hello, World!'), [secret], now),
      ).rejects.toMatchObject(refused);
    }
    await expect(verify(presented({}, 'Hello, World!'), [secret], now)).rejects.toMatchObject(refused);
  });

  it('reads a push as JSON and as a form, whose raw bytes are what is signed', async () => {
    const event = {
      repository: 'octo-org/octo-repo',
      ref: 'refs/heads/main',
      revision: NEW,
      previous_revision: OLD,
      tag: null,
      delivery: headers['x-github-delivery'],
    };
    expect(read(presented(headers, push), terms)).toEqual({ event });
    const form = new URLSearchParams({ payload: JSON.stringify(push) }).toString();
    const key = await crypto.subtle.importKey('raw', bytes('a long secret'), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'sign',
    ]);
    const mac = hex(await crypto.subtle.sign('HMAC', key, bytes(form)));
    const sent = presented(
      { ...headers, 'content-type': 'application/x-www-form-urlencoded', 'x-hub-signature-256': `sha256=${mac}` },
      form,
    );
    await verify(sent, ['a long secret'], now);
    expect(read(sent, terms)).toEqual({ event });
  });

  it.each([
    ['ping', { ...headers, 'x-github-event': 'ping' }, { zen: 'x', hook_id: 1 }, 'ping'],
    ['a deleted branch', headers, { ...push, deleted: true, after: '0'.repeat(40) }, 'ref_deleted'],
    ['zeros', headers, { ...push, after: '0'.repeat(40) }, 'ref_deleted'],
    ['another branch', headers, { ...push, ref: 'refs/heads/dev' }, 'ref_unknown'],
    ['an issue', { ...headers, 'x-github-event': 'issues' }, { action: 'opened' }, 'event_ignored'],
    [
      'a draft',
      { ...headers, 'x-github-event': 'release' },
      { action: 'created', release: { tag_name: 'v1' }, repository: { full_name: 'a/b' } },
      'event_ignored',
    ],
  ])('starts nothing for %s', (_, given, body, code) => {
    expect(read(presented(given, body), terms)).toMatchObject({ ignored: { code } });
  });

  it('has no commit before the first push, and no commit at all for a release', () => {
    expect(read(presented(headers, { ...push, before: '0'.repeat(40) }), terms)).toMatchObject({
      event: { previous_revision: null },
    });
    const release = { action: 'published', release: { tag_name: 'v1.2' }, repository: { full_name: 'a/b' } };
    expect(read(presented({ ...headers, 'x-github-event': 'release' }, release), terms)).toMatchObject({
      event: { tag: 'v1.2', revision: null, repository: 'a/b' },
    });
  });
});

describe('standard webhooks', () => {
  const { verify, read, secret } = INBOUND_PROVIDERS.standard_webhooks;
  const signed = async (secrets: string[], body: unknown, at = now) => {
    const text = JSON.stringify(body);
    return presented(await signatureHeaders(secrets, { id: 'msg_1', at, body: text }), text);
  };
  const refused = { code: 'signature_invalid' };

  it('verifies the example of the specification', async () => {
    const sent = presented(
      {
        'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        'webhook-timestamp': '1614265330',
        'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
      },
      '{"test": 2432232314}',
    );
    const known = secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    await verify(sent, [known], 1_614_265_330_000);
    await expect(verify(sent, [known], 1_614_265_330_000 + 301_000)).rejects.toMatchObject({ code: 'clock_skew' });
    await expect(verify(sent, [known], 1_614_265_330_000 - 301_000)).rejects.toMatchObject({ code: 'clock_skew' });
    await verify(sent, [known], 1_614_265_330_000 + 299_000);
  });

  it.each(['v1', 'v1a'] as const)('takes %s among several signatures, under any live secret', async (scheme) => {
    const [a, b] = [await newSecret(scheme), await newSecret(scheme)];
    const body = { type: 'x', data: { n: 1 } };
    await verify(await signed([a, b], body), [secret(verifierOf(b))], now);
    await verify(await signed([b], body), [secret(verifierOf(a)), secret(verifierOf(b))], now);
    await expect(verify(await signed([a], body), [secret(verifierOf(b))], now)).rejects.toMatchObject(refused);
    const changed = await signed([a], body);
    await expect(verify({ ...changed, body: bytes('{}') }, [secret(verifierOf(a))], now)).rejects.toMatchObject(
      refused,
    );
  });

  it('takes secrets as they are pasted', () => {
    const bare = btoa('0123456789abcdef01234567');
    for (const text of [bare, `whsec_${bare}`, `v1,whsec_${bare}`, `  whsec_${bare}\n`]) {
      expect(secret(text)).toBe(`whsec_${bare}`);
    }
    for (const text of ['whsec_', 'whsec_***', `whsec_${btoa('short')}`, `whsk_${bare}`, `whpk_${bare}`, '']) {
      expect(() => secret(text)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
    }
  });

  it('finds repository and revision where the hook says, and else belongs to the id', () => {
    const body = { data: { 'a/b': { name: 'team/model' }, commits: [{ id: NEW }] } };
    const pointers = { repository: '/data/a~1b/name', revision: '/data/commits/0/id' };
    expect(read(presented({ 'webhook-id': 'msg_1' }, body), { ...terms, pointers })).toMatchObject({
      event: { repository: 'team/model', revision: NEW, delivery: 'msg_1' },
    });
    expect(read(presented({ 'webhook-id': 'msg_1' }, body), terms)).toMatchObject({
      event: { repository: null, revision: null },
    });
    expect(() => read(presented({ 'webhook-id': 'msg_1' }, {}), { ...terms, pointers })).toThrow(
      expect.objectContaining({ code: 'validation_failed' }),
    );
  });
});
