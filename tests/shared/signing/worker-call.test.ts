import { beforeAll, describe, expect, it } from 'vitest';
import { WORKER_TYP } from '../../../shared/contracts/worker-call.ts';
import { randomId, sha256Hex } from '../../../shared/signing/digest.ts';
import { type SigningKey, signEnvelope } from '../../../shared/signing/envelope.ts';
import { fixedKeys, publicKeys } from '../../../shared/signing/key-set.ts';
import { openWorkerCall, signWorkerCall } from '../../../shared/signing/worker-call.ts';
import { newSigningKey } from '../../support/signing-key.ts';

const NOW = 1_800_000_000;
const bytes = (text: string) => new TextEncoder().encode(text);
const call = { method: 'POST', path: '/internal/jobs/job_x/complete', body: bytes('{"a":1}') };
let worker: SigningKey;
let other: SigningKey;
beforeAll(async () => {
  worker = await newSigningKey(randomId('wkr'));
  other = await newSigningKey(randomId('wkr'));
});
const open = (header: string | null, of = call, now = NOW) =>
  openWorkerCall(header, of, fixedKeys(publicKeys([worker, other])), now);
const invalid = { code: 'signature_invalid' };

describe("a worker's call", () => {
  it('says who calls and under which fencing token', async () => {
    const header = await signWorkerCall(worker, { ...call, fence: 'fence_1' }, NOW);
    expect(await open(header)).toEqual({ worker: worker.kid, fence: 'fence_1' });
  });

  it('cannot be moved to another method, path or body', async () => {
    const header = await signWorkerCall(worker, { ...call, fence: null }, NOW);
    await expect(open(header, { ...call, method: 'PUT' })).rejects.toMatchObject(invalid);
    await expect(open(header, { ...call, path: '/internal/jobs/job_y/complete' })).rejects.toMatchObject(invalid);
    await expect(open(header, { ...call, body: bytes('{"a":2}') })).rejects.toMatchObject(invalid);
    await expect(open(header, { ...call, body: bytes('') })).rejects.toMatchObject(invalid);
  });

  it('cannot be made in the name of another worker', async () => {
    const forged = await signWorkerCall({ kid: other.kid, jwk: worker.jwk }, { ...call, fence: null }, NOW);
    await expect(open(forged)).rejects.toMatchObject(invalid);
    const claims = {
      iss: other.kid,
      aud: 'sextant-edge',
      iat: NOW,
      exp: NOW + 60,
      jti: 'j'.repeat(20),
      method: call.method,
      path: call.path,
      digest: await sha256Hex(call.body),
      fence: null,
    };
    const mixed = `Sextant ${await signEnvelope(worker, WORKER_TYP, claims)}`;
    await expect(open(mixed)).rejects.toMatchObject(invalid);
    const long = `Sextant ${await signEnvelope(other, WORKER_TYP, { ...claims, exp: NOW + 3600 })}`;
    await expect(open(long)).rejects.toThrow(/time of life/);
  });

  it('lives for 60 s', async () => {
    const header = await signWorkerCall(worker, { ...call, fence: null }, NOW);
    await expect(open(header, call, NOW + 60)).resolves.toBeDefined();
    await expect(open(header, call, NOW + 600)).rejects.toMatchObject({ code: 'clock_skew' });
    await expect(open(header, call, NOW - 600)).rejects.toMatchObject({ code: 'clock_skew' });
  });

  it('needs the header', async () => {
    for (const header of [null, '', 'Bearer x', 'Sextant', 'Sextant x.y.z']) {
      await expect(open(header)).rejects.toMatchObject(invalid);
    }
  });
});
