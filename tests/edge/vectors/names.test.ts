import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { findName, pointName } from '../../../edge/vectors/names.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import { newClient, problemOf } from '../support/client.ts';
import { plantVector } from '../support/vector.ts';

type Pointer = { name: string; id: string; version: number };
const at = (name: string) => `/v1/vector-names/${encodeURIComponent(name)}`;

describe('a vector name', () => {
  it('is created, read, moved with its version, and deleted', async () => {
    const client = await newClient();
    const [one, two] = [await plantVector(client.tenant), await plantVector(client.tenant)];
    const path = at('tone/warm & ü 100%');
    const made = await client.call('PUT', path, { body: { id: one.id } });
    expect(made.status).toBe(201);
    expect(await made.json()).toMatchObject({ name: 'tone/warm & ü 100%', id: one.id, version: 1 });
    const read = await client.call('GET', path);
    expect(await read.json()).toMatchObject({ id: one.id });
    expect(read.headers.get('etag')).toBe('"1"');
    expect((await client.call('GET', path, { headers: { 'if-none-match': '"1"' } })).status).toBe(304);

    const put = (id: string, version?: string) =>
      client.call('PUT', path, { body: { id }, headers: version === undefined ? {} : { 'if-match': version } });
    expect((await problemOf(await put(two.id))).code).toBe('version_required');
    expect((await problemOf(await put(two.id, '"2"'))).code).toBe('version_mismatch');
    expect((await problemOf(await put(two.id, '"01"'))).code).toBe('version_mismatch');
    expect((await problemOf(await put(two.id, '1'))).code).toBe('parameter_invalid');
    const moved = await put(two.id, '"1"');
    expect(moved.status).toBe(200);
    expect(moved.headers.get('etag')).toBe('"2"');
    const late = await put(one.id, '"1"');
    expect(late.headers.get('etag')).toBe('"2"');
    expect((await problemOf(late)).code).toBe('version_mismatch');

    expect((await problemOf(await client.call('DELETE', path))).code).toBe('version_required');
    expect((await client.call('DELETE', path, { headers: { 'if-match': '"2"' } })).status).toBe(204);
    expect((await problemOf(await client.call('GET', path))).code).toBe('not_found');
  });

  it('moves once where two clients race', async () => {
    const client = await newClient();
    const vectors = await Promise.all([1, 2, 3, 4].map(() => plantVector(client.tenant)));
    await client.call('PUT', at('raced'), { body: { id: vectors[0]!.id } });
    const answers = await Promise.all(
      vectors.map(({ id }) => client.call('PUT', at('raced'), { body: { id }, headers: { 'if-match': '"1"' } })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 412, 412, 412]);
  });

  it('points only at vectors of the tenant or of the public', async () => {
    const [client, other] = [await newClient(), await newClient()];
    const [own, shared, foreign] = [
      await plantVector(client.tenant),
      await plantVector('public'),
      await plantVector(other.tenant),
    ];
    expect((await client.call('PUT', at('own'), { body: { id: own.id } })).status).toBe(201);
    expect((await client.call('PUT', at('shared'), { body: { id: shared.id } })).status).toBe(201);
    const refused = await problemOf(await client.call('PUT', at('foreign'), { body: { id: foreign.id } }));
    expect(refused).toMatchObject({ code: 'input_not_found', errors: [{ pointer: '/id' }] });
    expect((await problemOf(await other.call('GET', at('own')))).code).toBe('not_found');
    const names = async (of: typeof client) =>
      ((await (await of.call('GET', '/v1/vector-names')).json()) as { data: Pointer[] }).data.map((p) => p.name);
    expect(await names(client)).toEqual(['own', 'shared']);
    expect(await names(other)).toEqual([]);
    // what a name points at cannot be deleted under it
    expect((await problemOf(await client.call('DELETE', `/v1/vectors/${own.id}`))).code).toBe('conflict');
  });

  it('is listed in order, page by page', async () => {
    const client = await newClient();
    const { id } = await plantVector(client.tenant);
    const wanted = ['a', 'b', 'ä', 'c d', 'z'];
    for (const name of wanted) {
      await client.call('PUT', at(name), { body: { id } });
    }
    const seen: string[] = [];
    let path: string | undefined = '/v1/vector-names?limit=2';
    while (path) {
      const answer = await client.call('GET', path);
      seen.push(...((await answer.json()) as { data: Pointer[] }).data.map((p) => p.name));
      path = /<(.*)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual(['a', 'b', 'c d', 'z', 'ä']);
  });

  it('is bounded in length', async () => {
    const client = await newClient();
    const { id } = await plantVector(client.tenant);
    expect((await client.call('PUT', at('x'.repeat(200)), { body: { id } })).status).toBe(201);
    expect((await client.call('PUT', at('x'.repeat(201)), { body: { id } })).status).toBe(404);
  });

  it('is changed under every form of condition that the standard knows', async () => {
    const client = await newClient();
    const { id } = await plantVector(client.tenant);
    const put = async (headers: Record<string, string>) => {
      const answer = await client.call('PUT', at('conditional'), { body: { id }, headers });
      return answer.ok ? answer.headers.get('etag') : (await problemOf(answer)).code;
    };
    expect(await put({ 'if-match': '*' })).toBe('version_mismatch');
    expect(await put({ 'if-none-match': '*' })).toBe('"1"');
    expect(await put({ 'if-none-match': '*' })).toBe('precondition_failed');
    expect(await put({ 'if-match': '"7", W/"1"' })).toBe('"2"');
    expect(await put({ 'if-match': '*' })).toBe('"3"');
    expect(await put({ 'if-match': '"3"', 'if-none-match': '"2", "3"' })).toBe('precondition_failed');
    const get = async (headers: Record<string, string>) =>
      (await client.call('GET', at('conditional'), { headers })).status;
    expect(await get({ 'if-none-match': 'W/"3"' })).toBe(304);
    expect(await get({ 'if-none-match': '"1", "03"' })).toBe(200);
    expect(await get({ 'if-match': '"3"' })).toBe(200);
    expect(await get({ 'if-match': '"2"' })).toBe(412);
    const remove = await client.call('DELETE', at('conditional'), { headers: { 'if-match': 'W/"3"' } });
    expect(remove.status).toBe(204);
  });

  it('is one name however its accents are composed, and shows no other than it has', async () => {
    const client = await newClient();
    const { id } = await plantVector(client.tenant);
    expect((await client.call('PUT', at('caf\u0065\u0301'), { body: { id } })).status).toBe(201);
    expect(await (await client.call('GET', at('caf\u00e9'))).json()).toMatchObject({ name: 'caf\u00e9' });
    for (const path of [at('a\u202eb'), at('a\u0000'), at('line\nbreak'), '/v1/vector-names/%E0%A4%A', at('\ufffd')]) {
      expect([path, (await problemOf(await client.call('PUT', path, { body: { id } }))).code]).toEqual([
        path,
        'parameter_invalid',
      ]);
    }
    for (const name of ['..', 'a\u2066', 'x\u0007']) {
      const problem = await problemOf(
        await client.call('POST', '/v1/keys', { body: { name, scopes: ['vectors:read'] } }),
      );
      expect(problem.errors).toMatchObject([{ pointer: '/name', code: 'name_invalid' }]);
    }
  });

  it('is pointed by a job, whatever it was, and twice without harm', async () => {
    const of = { tenant: 'points', name: 'n', now: 5 };
    for (const vector of ['vec_one', 'vec_two', 'vec_two']) {
      await pointName(env, { ...of, vector }).run();
    }
    expect(await findName(env, 'points', 'n')).toMatchObject({ vector: 'vec_two', version: 2 });
  });
});

describe('a batch', () => {
  it('gives what exists for this tenant and names the rest', async () => {
    const [client, other] = [await newClient(), await newClient()];
    const own = [await plantVector(client.tenant, 8), await plantVector(client.tenant, 12)];
    const foreign = await plantVector(other.tenant);
    const ids = [own[1]!.id, foreign.id, own[0]!.id, own[1]!.id];
    for (const round of [1, 2]) {
      const answer = await client.call('POST', '/v1/vector-batches', { body: { ids } });
      const { data, missing } = (await answer.json()) as {
        data: { id: string; values: number[]; provenance: object }[];
        missing: string[];
      };
      expect([round, ...data.map((vector) => vector.id)]).toEqual([round, own[1]!.id, own[0]!.id]);
      expect(Float32Array.from(data[0]!.values)).toEqual(own[1]!.values);
      expect(data[0]!.provenance).toEqual({ texts: 12 });
      expect(missing).toEqual([foreign.id]);
    }
    const answer = await client.call('POST', '/v1/vector-batches', { body: { ids, format: 'safetensors' } });
    const file = readSafetensors(new Uint8Array(await answer.arrayBuffer()));
    expect([...file.header.tensors.keys()]).toEqual([own[1]!.id, own[0]!.id]);
    expect(file.float32(own[0]!.id)).toEqual(own[0]!.values);
    expect(JSON.parse(file.header.metadata.missing!)).toEqual([foreign.id]);
  });

  it('takes 1 to 100 ids', async () => {
    const client = await newClient();
    const { id } = await plantVector(client.tenant);
    const status = async (ids: string[]) => (await client.call('POST', '/v1/vector-batches', { body: { ids } })).status;
    expect(await status(Array(100).fill(id))).toBe(200);
    expect(await status(Array(101).fill(id))).toBe(422);
    expect(await status([])).toBe(422);
    expect(await status(['job_x'])).toBe(422);
  });
});
