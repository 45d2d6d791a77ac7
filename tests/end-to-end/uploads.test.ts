import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSERT_KEY, keyValues, mintKey } from '../../edge/keys/mint.ts';
import { type EdgeProcess, startEdge } from '../../infra/dev/edge-process.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { freePort } from '../support/free-port.ts';

/** The edge alone, over real sockets: what tests inside workerd cannot see. */
describe('over a socket', () => {
  const data = mkdtempSync(join(tmpdir(), 'sextant-uploads-'));
  const keys: string[] = [];
  let edge: EdgeProcess;
  beforeAll(async () => {
    edge = await startEdge({ port: await freePort(), data, vars: {} });
    for (const tenant of ['one', 'other']) {
      const { text, row } = await mintKey({ tenant, name: 'test', scopes: SCOPES, now: Date.now() });
      await edge.execute(INSERT_KEY, keyValues(row));
      keys.push(text);
    }
  });
  afterAll(async () => {
    await edge?.stop();
    rmSync(data, { recursive: true });
  });
  const call = (method: string, path: string, body?: unknown, holder = 0) =>
    fetch(`${edge.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${keys[holder]}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const announce = async (content: Uint8Array<ArrayBuffer>) => {
    const body = {
      name: 'tensor.bin',
      sha256: await sha256Hex(content),
      bytes: content.byteLength,
      media_type: 'application/octet-stream',
    };
    return (await (await call('POST', '/v1/artefacts', body)).json()) as { id: string; upload: { url: string } };
  };

  it('takes an upload by its presigned address, whole and unchanged, and by no other address', async () => {
    const content = new Uint8Array(3_000_000).map((_, i) => (i * 2654435761) >>> 24);
    const { id, upload } = await announce(content);
    const elsewhere = new URL(upload.url);
    elsewhere.pathname = elsewhere.pathname.replace('/t/one/', '/t/other/');
    for (const [address, method] of [
      [elsewhere.href, 'PUT'],
      [upload.url.replace(/\?.*/, ''), 'PUT'],
      [upload.url.replace('X-Amz-Expires=3600', 'X-Amz-Expires=360000'), 'PUT'],
      [upload.url, 'DELETE'],
      [upload.url, 'GET'],
    ] as const) {
      const refused = await fetch(address, method === 'PUT' ? { method, body: content } : { method });
      expect([method, refused.ok]).toEqual([method, false]);
      await refused.arrayBuffer();
    }
    await (await fetch(upload.url, { method: 'PUT', body: content.subarray(0, 2_000_000) })).arrayBuffer();
    const early = (await (await call('POST', `/v1/artefacts/${id}/commit`)).json()) as { code: string };
    expect(early.code).toBe('artefact_mismatch');
    expect((await fetch(upload.url, { method: 'PUT', body: content })).ok).toBe(true);
    expect((await call('POST', `/v1/artefacts/${id}/commit`)).status).toBe(200);

    const whole = await call('GET', `/v1/artefacts/${id}`);
    expect(await sha256Hex(new Uint8Array(await whole.arrayBuffer()))).toBe(await sha256Hex(content));
    const part = await fetch(`${edge.url}/v1/artefacts/${id}`, {
      headers: { authorization: `Bearer ${keys[0]}`, range: 'bytes=1000000-1000099' },
    });
    expect(part.status).toBe(206);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(content.slice(1_000_000, 1_000_100));
    expect((await call('GET', `/v1/artefacts/${id}`, undefined, 1)).status).toBe(404);

    // the same address, used late: what was promoted stays what it is
    expect((await fetch(upload.url, { method: 'PUT', body: content.subarray(0, 10) })).ok).toBe(true);
    const after = await call('GET', `/v1/artefacts/${id}`);
    expect((await after.arrayBuffer()).byteLength).toBe(content.byteLength);
  });

  it('answers a body of 20 MB with 413 and goes on answering', async () => {
    const statuses: number[] = [];
    for (const path of ['/v1/keys', '/v1/keys', '/v1/nowhere', '/v1/usage']) {
      const answer = await call('POST', path, 'x'.repeat(20_000_000));
      statuses.push(answer.status);
      await answer.arrayBuffer();
    }
    expect(statuses).toEqual([413, 413, 404, 405]);
    const stranger = await fetch(`${edge.url}/v1/keys`, { method: 'POST', body: 'x'.repeat(20_000_000) });
    expect(stranger.status).toBe(401);
    expect((await call('GET', '/v1/keys')).status).toBe(200);
  });

  it('answers HEAD as GET without a body', async () => {
    const [head, get] = [await call('HEAD', '/v1/capabilities'), await call('GET', '/v1/capabilities')];
    expect(head.status).toBe(200);
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'));
    expect(await head.text()).toBe('');
  });
});
