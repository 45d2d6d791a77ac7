import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { blobKey, stagingKey } from '../../../edge/artefacts/addresses.ts';
import { byteRange } from '../../../edge/http/range.ts';
import { SHARD_LIMIT } from '../../../shared/contracts/worker-call.ts';
import { sha256Hex } from '../../../shared/signing/digest.ts';
import { type Client, newClient, problemOf } from '../support/client.ts';

type Granted = { id: string; state: string; upload: { url: string; method: string } | null };
const CONTENT = 'thirty-two bytes of plain text..';

const announcement = async (content: string) => ({
  name: 'notes.txt',
  sha256: await sha256Hex(content),
  bytes: content.length,
  media_type: 'text/plain',
});
async function announce(client: Client, content: string): Promise<Granted> {
  const answer = await client.call('POST', '/v1/artefacts', { body: await announcement(content) });
  expect(answer.status).toBe(201);
  return (await answer.json()) as Granted;
}
const put = (client: Client, id: string, content: string) => env.R2.put(stagingKey(client.tenant, id, 1, 0), content);
async function upload(client: Client, content: string): Promise<string> {
  const { id } = await announce(client, content);
  await put(client, id, content);
  expect((await client.call('POST', `/v1/artefacts/${id}/commit`)).status).toBe(200);
  return id;
}

describe('a client’s upload', () => {
  it('is granted, checked at commit, and then readable', async () => {
    const client = await newClient();
    const granted = await announce(client, CONTENT);
    expect(granted).toMatchObject({ state: 'pending', upload: { method: 'PUT' } });
    expect(new URL(granted.upload!.url).pathname).toContain(stagingKey(client.tenant, granted.id, 1, 0));
    const commit = () => client.call('POST', `/v1/artefacts/${granted.id}/commit`);
    expect((await problemOf(await client.call('GET', `/v1/artefacts/${granted.id}`))).code).toBe('artefact_missing');
    expect((await problemOf(await commit())).code).toBe('artefact_missing');
    await put(client, granted.id, CONTENT.slice(0, 10));
    expect((await problemOf(await commit())).code).toBe('artefact_mismatch');
    await put(client, granted.id, CONTENT.toUpperCase());
    expect((await problemOf(await commit())).code).toBe('artefact_mismatch');
    await put(client, granted.id, CONTENT);
    for (const round of [1, 2]) {
      expect([round, (await commit()).status]).toEqual([round, 200]);
    }
    const read = await client.call('GET', `/v1/artefacts/${granted.id}`);
    expect(await read.text()).toBe(CONTENT);
    expect(read.headers.get('content-type')).toBe('text/plain');
    expect(read.headers.get('content-disposition')).toContain('attachment');
    expect(read.headers.get('etag')).toBe(`"${await sha256Hex(CONTENT)}"`);
  });

  it('is spared where the tenant owns the bytes, and only there', async () => {
    const [client, other] = [await newClient(), await newClient()];
    await upload(client, 'shared content');
    const again = await announce(client, 'shared content');
    expect(again).toMatchObject({ state: 'stored', upload: null });
    expect(await (await client.call('GET', `/v1/artefacts/${again.id}`)).text()).toBe('shared content');
    const theirs = await announce(other, 'shared content');
    expect(theirs).toMatchObject({ state: 'pending' });
    expect((await problemOf(await other.call('POST', `/v1/artefacts/${theirs.id}/commit`))).code).toBe(
      'artefact_missing',
    );
    expect(await env.R2.head(blobKey(other.tenant, await sha256Hex('shared content')))).toBeNull();
  });

  it('is refused beyond the shard limit or with a wrong digest', async () => {
    const client = await newClient();
    const good = await announcement('x');
    for (const [field, value] of [
      ['bytes', SHARD_LIMIT + 1],
      ['bytes', -1],
      ['sha256', 'AB'.repeat(32)],
      ['sha256', '../../../other-tenant/blob'],
      ['media_type', 'text/html; charset=x'],
    ] as const) {
      const answer = await client.call('POST', '/v1/artefacts', { body: { ...good, [field]: value } });
      expect(await problemOf(answer)).toMatchObject({ code: 'validation_failed', errors: [{ pointer: `/${field}` }] });
    }
  });
});

describe('an artefact', () => {
  it('is read by ranges', async () => {
    const client = await newClient();
    const id = await upload(client, CONTENT);
    const get = (headers: Record<string, string>) => client.call('GET', `/v1/artefacts/${id}`, { headers });
    const part = await get({ range: 'bytes=7-9' });
    expect([part.status, await part.text()]).toEqual([206, 'two']);
    expect(part.headers.get('content-range')).toBe(`bytes 7-9/${CONTENT.length}`);
    expect(part.headers.get('content-length')).toBe('3');
    expect(await (await get({ range: 'bytes=-2' })).text()).toBe('..');
    expect(await (await get({ range: 'bytes=30-' })).text()).toBe('..');
    expect(await (await get({ range: 'bytes=30-999' })).text()).toBe('..');
    const beyond = await get({ range: `bytes=${CONTENT.length}-` });
    expect(beyond.headers.get('content-range')).toBe(`bytes */${CONTENT.length}`);
    expect((await problemOf(beyond)).code).toBe('range_unsatisfiable');
    for (const range of ['bytes=0-1,3-4', 'lines=1-2', 'bytes=5-2', 'bytes=-']) {
      const whole = await get({ range });
      expect([range, whole.status, await whole.text()]).toEqual([range, 200, CONTENT]);
    }
    const etag = part.headers.get('etag')!;
    expect((await get({ range: 'bytes=0-1', 'if-range': etag })).status).toBe(206);
    expect((await get({ range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
    expect((await get({ 'if-none-match': etag })).status).toBe(304);
  });

  it('belongs to its tenant', async () => {
    const [client, other] = [await newClient(), await newClient()];
    const id = await upload(client, CONTENT);
    for (const [method, path] of [
      ['GET', `/v1/artefacts/${id}`],
      ['POST', `/v1/artefacts/${id}/commit`],
      ['DELETE', `/v1/artefacts/${id}`],
    ] as const) {
      expect((await problemOf(await other.call(method, path))).code).toBe('not_found');
    }
    const listed = async (of: Client) =>
      ((await (await of.call('GET', '/v1/artefacts')).json()) as { data: { id: string }[] }).data.map((a) => a.id);
    expect(await listed(client)).toEqual([id]);
    expect(await listed(other)).toEqual([]);
    expect((await client.call('DELETE', `/v1/artefacts/${id}`)).status).toBe(204);
    expect((await problemOf(await client.call('GET', `/v1/artefacts/${id}`))).code).toBe('not_found');
  });
});

describe('byte ranges', () => {
  it('agree with slicing', () => {
    const size = 10;
    for (let first = 0; first < size; first += 1) {
      for (let last = first; last < size + 3; last += 1) {
        const { offset, length } = byteRange(`bytes=${first}-${last}`, size)!;
        expect([offset, offset + length]).toEqual([first, Math.min(size, last + 1)]);
      }
    }
    for (let suffix = 1; suffix < size + 3; suffix += 1) {
      expect(byteRange(`bytes=-${suffix}`, size)!.offset).toBe(Math.max(0, size - suffix));
    }
    expect(() => byteRange('bytes=-0', size)).toThrow();
    expect(() => byteRange('bytes=0-', 0)).toThrow();
  });
});
