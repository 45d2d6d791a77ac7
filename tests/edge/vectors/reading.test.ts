import { describe, expect, it } from 'vitest';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import { float16Bits, float16Value } from '../../../shared/formats/safetensors-values.ts';
import { sha256Hex } from '../../../shared/signing/digest.ts';
import { newClient, problemOf } from '../support/client.ts';
import { plantVector } from '../support/vector.ts';

const bytesOf = async (answer: Response) => new Uint8Array(await answer.arrayBuffer());

describe('a vector by id', () => {
  it('comes in every format and dtype with the same numbers', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant, 33);
    const get = async (query: string) => {
      const answer = await client.call('GET', `/v1/vectors/${vector.id}?${query}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('sextant-vector')).toContain(`id="${vector.id}"`);
      return answer;
    };
    const half = Array.from(vector.values, (x) => float16Value(float16Bits(x)));

    expect(new Float32Array((await bytesOf(await get('format=raw'))).buffer)).toEqual(vector.values);
    const raw16 = new Uint16Array((await bytesOf(await get('dtype=float16&format=raw'))).buffer);
    expect(Array.from(raw16, float16Value)).toEqual(half);

    const json = (await (await get('format=json')).json()) as { values: number[]; dtype: string };
    expect(Float32Array.from(json.values)).toEqual(vector.values);
    const json16 = (await (await get('format=json&dtype=float16')).json()) as { values: number[]; dtype: string };
    expect(json16.dtype).toBe('float16');
    expect(json16.values.map(float16Bits)).toEqual(half.map(float16Bits));

    const file = readSafetensors(await bytesOf(await get('format=safetensors')));
    expect(file.float32('vector')).toEqual(vector.values);
    expect(JSON.parse(file.header.metadata.vector!)).toMatchObject({ id: vector.id, provenance: { texts: 12 } });
    const file16 = readSafetensors(await bytesOf(await get('format=safetensors&dtype=float16')));
    expect(Array.from(file16.float32('vector'))).toEqual(half);

    const npy = await bytesOf(await get('format=npy'));
    const headerLength = npy[8]! + 256 * npy[9]!;
    expect((10 + headerLength) % 64).toBe(0);
    expect(new TextDecoder().decode(npy.subarray(10, 10 + headerLength))).toMatch(
      /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(33,\), \} *\n$/,
    );
    expect(new Float32Array(npy.slice(10 + headerLength).buffer)).toEqual(vector.values);
  });

  it('comes in ranges, and under conditions', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant, 8);
    const get = (headers: Record<string, string>) =>
      client.call('GET', `/v1/vectors/${vector.id}?format=raw`, { headers });
    const whole = await get({});
    const etag = whole.headers.get('etag')!;
    expect([whole.headers.get('content-length'), whole.headers.get('accept-ranges')]).toEqual(['32', 'bytes']);
    const bytes = await bytesOf(whole);
    for (const extra of [{}, { 'if-range': etag }, { 'if-match': `"other", ${etag}` }]) {
      const part = await get({ range: 'bytes=4-11', ...extra });
      expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 4-11/32']);
      expect(await bytesOf(part)).toEqual(bytes.slice(4, 12));
    }
    expect((await get({ range: 'bytes=4-11', 'if-range': '"other"' })).status).toBe(200);
    expect((await problemOf(await get({ range: 'bytes=40-' }))).code).toBe('range_unsatisfiable');
    expect((await problemOf(await get({ 'if-match': '"other"' }))).code).toBe('precondition_failed');
    expect((await get({ 'if-none-match': `"other", W/${etag}` })).status).toBe(304);
  });

  it('is described by default, with its provenance', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    const shown = await (await client.call('GET', `/v1/vectors/${vector.id}`)).json();
    expect(shown).toMatchObject({
      id: vector.id,
      hook: 'resid_post.1',
      width: 16,
      residual_norm: 7.25,
      strength: 1.5,
      provenance: { texts: 12 },
      values_sha256: vector.manifest.blobs[0]!.sha256,
    });
    expect(shown).not.toHaveProperty('values');
  });

  it('takes its default from Accept, and says so where nothing fits', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    const typed = async (accept: string, query = '') => {
      const answer = await client.call('GET', `/v1/vectors/${vector.id}${query}`, { headers: { accept } });
      expect(answer.headers.get('vary') ?? 'Accept').toContain('Accept');
      return answer.headers.get('content-type');
    };
    expect(await typed('application/octet-stream')).toBe('application/octet-stream');
    expect(await typed('application/x-npy;q=0.2, application/vnd.safetensors')).toBe('application/vnd.safetensors');
    expect(await typed('text/html, */*;q=0.1')).toBe('application/json');
    expect(await typed('application/octet-stream', '?format=npy')).toBe('application/x-npy');
    // the most specific range decides for its type, then quality, then specificity, then the order
    expect(await typed('*/*, application/x-npy')).toBe('application/x-npy');
    expect(await typed('application/json;q=0, */*;q=0.1, application/octet-stream;q=0')).toBe(
      'application/vnd.safetensors',
    );
    expect(await typed('application/*;q=0.9, Application/X-NPY;q=0.2')).toBe('application/json');
    expect(await typed('application/x-npy;q=2, application/json;q=0.1')).toBe('application/json');
    const refused = await client.call('GET', `/v1/vectors/${vector.id}`, { headers: { accept: 'text/html' } });
    expect((await problemOf(refused)).code).toBe('not_acceptable');
  });

  it('has an ETag per representation, the digest of its bytes, and 304 for it', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    const tags = new Set<string>();
    for (const query of ['', '?format=raw', '?format=raw&dtype=float16', '?format=json', '?format=npy']) {
      const path = `/v1/vectors/${vector.id}${query}`;
      const answer = await client.call('GET', path);
      const etag = answer.headers.get('etag')!;
      expect(etag).toBe(`"${await sha256Hex(await bytesOf(answer))}"`);
      tags.add(etag);
      for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const unchanged = await client.call('GET', path, { headers: { 'if-none-match': condition } });
        expect(unchanged.status).toBe(304);
        expect(unchanged.headers.get('etag')).toBe(etag);
        expect((await bytesOf(unchanged)).byteLength).toBe(0);
      }
      const changed = await client.call('GET', path, { headers: { 'if-none-match': '"other"' } });
      expect(changed.status).toBe(200);
    }
    expect(tags.size).toBe(5);
  });

  it('answers from memory with the same answer as from behind it', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    const path = `/v1/vectors/${vector.id}?format=raw`;
    const changing = new Set(['server-timing', 'x-request-id', 'x-sextant-time', 'ratelimit']);
    const seen = async () => {
      const answer = await client.call('GET', path);
      const headers = [...answer.headers].filter(([name]) => !changing.has(name));
      const present = [...answer.headers.keys()].sort();
      return { tier: answer.headers.get('server-timing'), headers, present, bytes: await bytesOf(answer) };
    };
    const first = await seen();
    const second = await seen();
    expect(first.tier).toBe('tier;desc="r2"');
    expect(second.tier).toBe('tier;desc="memory"');
    expect(second.headers).toEqual(first.headers);
    expect(second.present).toEqual(first.present);
    expect(second.bytes).toEqual(first.bytes);
  });

  it('refuses what it does not know, with what would be right', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    const unknown = await problemOf(await client.call('GET', `/v1/vectors/${vector.id}?format=pickle`));
    expect(unknown).toMatchObject({ code: 'parameter_invalid', errors: [{ pointer: '/format' }] });
    expect(unknown.errors![0]!.detail).toContain('safetensors');
    const extra = await problemOf(await client.call('GET', `/v1/vectors/${vector.id}?fromat=raw`));
    expect(extra).toMatchObject({ code: 'parameter_invalid', errors: [{ pointer: '/fromat', code: 'unknown_field' }] });
    for (const id of [`vec_${'a'.repeat(52)}`, 'vec_short', 'nonsense']) {
      expect((await problemOf(await client.call('GET', `/v1/vectors/${id}`))).code).toBe('not_found');
    }
  });
});
