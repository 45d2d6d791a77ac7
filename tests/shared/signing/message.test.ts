import type { webcrypto } from 'node:crypto';
import { CompactSign, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { MESSAGE_LIFE_S, MESSAGE_TYP } from '../../../shared/contracts/worker-call.ts';
import { randomId } from '../../../shared/signing/digest.ts';
import { type SigningKey, signEnvelope } from '../../../shared/signing/envelope.ts';
import { fixedKeys, publicKeys } from '../../../shared/signing/key-set.ts';
import { openMessage, signMessage } from '../../../shared/signing/message.ts';
import { newSigningKey } from '../../support/signing-key.ts';

const NOW = 1_800_000_000;
let key: SigningKey;
let stranger: SigningKey;
const content = {
  sub: randomId('job'),
  jti: randomId('dsp'),
  type: 'diagnostics.run',
  input_digest: 'a'.repeat(64),
  params: { steps: 3, text: 'ä\u0000\u2028' },
};
beforeAll(async () => {
  key = await newSigningKey('edge-1');
  stranger = await newSigningKey('edge-1');
});
const keys = () => fixedKeys(publicKeys([key]));
const open = (jws: string, now = NOW) => openMessage(jws, keys(), now);
const refusal = (code: string, detail: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(detail) });
const claims = () => ({
  iss: 'sextant-edge',
  aud: 'sextant-gpu-worker',
  iat: NOW,
  exp: NOW + 60,
  ...content,
});
const base64url = (text: string) => Buffer.from(text).toString('base64url');

describe('a job message', () => {
  it('opens to what was signed', async () => {
    expect(await open(await signMessage(key, content, NOW))).toEqual({
      ...claims(),
      exp: NOW + MESSAGE_LIFE_S,
    });
  });

  it('is refused when a single character of it changes', async () => {
    const jws = await signMessage(key, content, NOW);
    const [header = '', payload = '', signature = ''] = jws.split('.');
    const changed = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    changed.params = { steps: 4 };
    await expect(open([header, base64url(JSON.stringify(changed)), signature].join('.'))).rejects.toEqual(
      refusal('signature_invalid', /ERR_JWS_SIGNATURE_VERIFICATION_FAILED/),
    );
    for (const at of [3, header.length + 7, jws.length - 10]) {
      const other = jws[at] === 'A' ? 'B' : 'A';
      await expect(open(jws.slice(0, at) + other + jws.slice(at + 1))).rejects.toMatchObject({
        code: 'signature_invalid',
      });
    }
  });

  it('is refused unsigned, and under any algorithm but EdDSA', async () => {
    const header = base64url(JSON.stringify({ alg: 'none', typ: MESSAGE_TYP, kid: key.kid }));
    const unsigned = `${header}.${base64url(JSON.stringify(claims()))}.`;
    await expect(open(unsigned)).rejects.toEqual(refusal('signature_invalid', /must be EdDSA/));
    // the public key as the secret of a MAC: the classic confusion
    const confused = await new SignJWT(claims())
      .setProtectedHeader({ alg: 'HS256', typ: MESSAGE_TYP, kid: key.kid })
      .sign(Buffer.from(key.jwk.x ?? '', 'base64url'));
    await expect(open(confused)).rejects.toEqual(refusal('signature_invalid', /must be EdDSA/));
  });

  it('is refused from another key, an unknown key id or another issuer', async () => {
    await expect(open(await signMessage(stranger, content, NOW))).rejects.toMatchObject({ code: 'signature_invalid' });
    await expect(open(await signMessage({ ...key, kid: 'edge-9' }, content, NOW))).rejects.toEqual(
      refusal('signature_invalid', /no key 'edge-9'/),
    );
    await expect(open(await signEnvelope(key, MESSAGE_TYP, { ...claims(), iss: 'someone' }))).rejects.toEqual(
      refusal('signature_invalid', /issuer 'someone'/),
    );
  });

  it('is refused for another audience, type of envelope or shape', async () => {
    await expect(open(await signEnvelope(key, MESSAGE_TYP, { ...claims(), aud: 'else' }))).rejects.toEqual(
      refusal('signature_invalid', /claim 'aud'/),
    );
    await expect(open(await signEnvelope(key, 'JWT', claims()))).rejects.toEqual(refusal('signature_invalid', /type/));
    await expect(open(await signEnvelope(key, MESSAGE_TYP, { ...claims(), extra: 1 }))).rejects.toMatchObject({
      code: 'signature_invalid',
    });
    const notJson = await new CompactSign(new Uint8Array([0xff, 0x7b]))
      .setProtectedHeader({ alg: 'EdDSA', kid: key.kid, typ: MESSAGE_TYP })
      .sign(await crypto.subtle.importKey('jwk', key.jwk as webcrypto.JsonWebKey, 'Ed25519', false, ['sign']));
    for (const text of [notJson, '', 'a.b', '....', 'x'.repeat(200_000)]) {
      await expect(open(text)).rejects.toMatchObject({ code: 'signature_invalid' });
    }
  });

  it('lives from its issue to its expiry, within the tolerance of honest clocks', async () => {
    const jws = await signMessage(key, content, NOW);
    await expect(open(jws, NOW + MESSAGE_LIFE_S + 4)).resolves.toBeDefined();
    await expect(open(jws, NOW + MESSAGE_LIFE_S + 6)).rejects.toEqual(refusal('clock_skew', /expired/));
    await expect(open(jws, NOW - 4)).resolves.toBeDefined();
    await expect(open(jws, NOW - 600)).rejects.toEqual(refusal('clock_skew', /600 s in the future/));
  });
});
