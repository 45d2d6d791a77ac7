/** Completions that must not count: stale tokens, truncated or wrong uploads; and the calls of a worker by hand. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSERT_WORKER, mintWorker, workerValues } from '../../edge/keys/mint.ts';
import type { Claim, Uploads } from '../../shared/contracts/worker-call.ts';
import { inputDigest, sha256Hex } from '../../shared/signing/digest.ts';
import type { SigningKey } from '../../shared/signing/envelope.ts';
import { signWorkerCall } from '../../shared/signing/worker-call.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack();
/** A registered worker that the test plays itself. */
let key: SigningKey;
beforeAll(async () => {
  await stack.start();
  const { id, privateJwk, row } = await mintWorker({ pool: 'test', now: Date.now() });
  await stack.edge.execute(INSERT_WORKER, workerValues(row));
  key = { kid: id, jwk: privateJwk };
}, 120_000);
afterAll(() => stack.stop());

type Answer = { status: number; body: Record<string, unknown> };

async function call(path: string, body: unknown, fence: string | null, by = key): Promise<Answer> {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const authorization = await signWorkerCall(by, { method: 'POST', path, body: bytes, fence }, Date.now() / 1000);
  const response = await fetch(`${stack.edge.url}${path}`, { method: 'POST', headers: { authorization }, body: bytes });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Posts a job and claims it by hand. */
async function claimed(): Promise<{ id: string; claim: Claim; claimAgain: () => Promise<Answer>; params: object }> {
  const id = await stack.post();
  for (;;) {
    const messages = await stack.delivered();
    await stack.gateway('ack', { acks: messages });
    for (const { body } of messages) {
      const { jws } = JSON.parse(Buffer.from(body, 'base64').toString()) as { jws: string };
      const { sub, jti, params } = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString());
      if (sub !== id) {
        continue;
      }
      const claimAgain = () => call(`/internal/jobs/${id}/claim`, { dispatch: jti, message: jws }, null);
      const answer = await claimAgain();
      if (answer.status !== 200) {
        throw new Error(JSON.stringify(answer));
      }
      return { id, claim: answer.body as unknown as Claim, claimAgain, params };
    }
  }
}

async function announced(id: string, fence: string): Promise<{ n: number; url: string; sha256: string }> {
  const fresh = new TextEncoder().encode(`${id} ${'x'.repeat(40)}`);
  const sha256 = await sha256Hex(fresh);
  const { body } = await call(`/internal/jobs/${id}/uploads`, { blobs: [{ sha256, bytes: fresh.length }] }, fence);
  const [upload] = (body as unknown as Uploads).uploads;
  return { n: upload?.n ?? -1, url: upload?.url ?? '', sha256 };
}
const fresh = (id: string) => new TextEncoder().encode(`${id} ${'x'.repeat(40)}`);

const completion = async (params: object, artefacts: unknown[] = [], digests: string[] = []) => ({
  input_digest: await inputDigest('diagnostics.run', 1, params),
  artefacts,
  published: [],
  result: { steps: 1, padding_length: 0, artefact_digests: digests },
  metrics: {},
  run: { device: 'cpu', dtype: 'none', seed: 0, tolerance: null, versions: {}, wall_s: 0, peak_rss_bytes: 0 },
  models: [],
});
const listed = ({ n, sha256 }: { n: number; sha256: string }, length: number) => ({
  n,
  name: 'bytes.bin',
  sha256,
  bytes: length,
  media_type: 'application/octet-stream',
});

describe('a completion', () => {
  it('with the token of an attempt that lost its lease to another is refused', async () => {
    const { id, claim, claimAgain, params } = await claimed();
    expect((await claimAgain()).body).toMatchObject({ code: 'job_busy' });
    // no heartbeat: the lease runs out and the ledger hands the job out again
    await stack.reached(id, 'queued');
    const again = (await claimAgain()).body as unknown as Claim;
    expect(again).toMatchObject({ attempt: 2 });
    expect(await call(`/internal/jobs/${id}/heartbeat`, { progress: null }, claim.fence)).toMatchObject({
      status: 409,
      body: { code: 'fence_stale' },
    });
    for (const fence of [claim.fence, null, 'fence_invented']) {
      expect(await call(`/internal/jobs/${id}/complete`, await completion(params), fence)).toMatchObject({
        status: 409,
        body: { code: 'fence_stale' },
      });
    }
    expect(await call(`/internal/jobs/${id}/complete`, await completion(params), again.fence)).toMatchObject({
      status: 200,
      body: { status: 'succeeded' },
    });
    await stack.assertSingleCompletion(id);
  });

  it('is answered the same when its first answer got lost', async () => {
    const { id, claim, params } = await claimed();
    const upload = await announced(id, claim.fence);
    await fetch(upload.url, { method: 'PUT', body: fresh(id) });
    const body = await completion(params, [listed(upload, fresh(id).length)], [upload.sha256]);
    const answers = await Promise.all([1, 2, 3].map(() => call(`/internal/jobs/${id}/complete`, body, claim.fence)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const job = await stack.assertSingleCompletion(id);
    expect(job.artefacts).toHaveLength(1);
    const read = await stack.call('GET', `/v1/artefacts/${job.artefacts[0]?.id}`);
    expect(new Uint8Array(await read.arrayBuffer())).toEqual(fresh(id));
  });

  it.each([
    ['was never sent', null, 'artefact_missing'],
    ['was truncated', (whole: Uint8Array) => whole.slice(0, -1), 'artefact_mismatch'],
    [
      'has the right size and another digest',
      (whole: Uint8Array) => whole.map((byte) => byte ^ 1),
      'artefact_mismatch',
    ],
  ])('whose upload %s is refused, leaves nothing behind, and can be repaired', async (_, damage, code) => {
    const { id, claim, params } = await claimed();
    const upload = await announced(id, claim.fence);
    if (damage) {
      await fetch(upload.url, { method: 'PUT', body: damage(fresh(id)) });
    }
    const body = await completion(params, [listed(upload, fresh(id).length)], [upload.sha256]);
    expect(await call(`/internal/jobs/${id}/complete`, body, claim.fence)).toMatchObject({
      status: 409,
      body: { code },
    });
    expect(await stack.job(id)).toMatchObject({ status: 'running', artefacts: [] });
    expect(await stack.edge.execute('SELECT id FROM artefacts WHERE job = ?', [id])).toEqual([]);
    await fetch(upload.url, { method: 'PUT', body: fresh(id) });
    expect(await call(`/internal/jobs/${id}/complete`, body, claim.fence)).toMatchObject({ status: 200 });
    await stack.assertSingleCompletion(id);
  });

  it('for another input, or with a result that does not fit the contract, is refused', async () => {
    const { id, claim, params } = await claimed();
    const right = await completion(params);
    const wrong = { ...right, input_digest: 'd'.repeat(64) };
    expect(await call(`/internal/jobs/${id}/complete`, wrong, claim.fence)).toMatchObject({
      body: { code: 'conflict' },
    });
    const misfit = await call(`/internal/jobs/${id}/complete`, { ...right, result: { steps: 'one' } }, claim.fence);
    expect(misfit).toMatchObject({ status: 422, body: { errors: [{ pointer: '/result/steps' }, {}, {}] } });
    expect(await call(`/internal/jobs/${id}/complete`, right, claim.fence)).toMatchObject({ status: 200 });
  });
});

describe("another worker's", () => {
  it('key, registered or not, cannot touch a job that it has not claimed', async () => {
    const { id, claim, params } = await claimed();
    const second = await mintWorker({ pool: 'test', now: Date.now() });
    const by = { kid: second.id, jwk: second.privateJwk };
    const attempt = async () => call(`/internal/jobs/${id}/complete`, await completion(params), claim.fence, by);
    expect(await attempt()).toMatchObject({ status: 401, body: { code: 'signature_invalid' } });
    await stack.edge.execute(INSERT_WORKER, workerValues(second.row));
    expect(await attempt()).toMatchObject({ status: 409, body: { code: 'fence_stale' } });
    const { status } = await fetch(`${stack.edge.url}/internal/jobs/${id}/heartbeat`, { method: 'POST', body: '{}' });
    expect(status).toBe(401);
  });
});
