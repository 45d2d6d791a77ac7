import { describe, expect, it } from 'vitest';
import { methodsFor } from '../../../edge/http/no-route.ts';
import { newClient, problemOf, send } from '../support/client.ts';

describe('every answer', () => {
  it('carries a request id, the clock and the rate limit', async () => {
    const client = await newClient();
    const answers = [
      await client.call('GET', '/v1/keys'),
      await client.call('GET', '/v1/vectors/nonsense'),
      await client.call('POST', '/v1/keys', { body: {} }),
      await send('GET', '/healthz'),
      await send('GET', '/v1/keys'),
      await client.call('GET', '/v1/capabilities'),
      await client.call('GET', '/nowhere'),
    ];
    const ids = answers.map((answer) => answer.headers.get('x-request-id'));
    expect(new Set(ids).size).toBe(answers.length);
    for (const { headers } of answers) {
      expect(Math.abs(Number(headers.get('x-sextant-time')) - Date.now())).toBeLessThan(60_000);
      expect(headers.get('ratelimit-policy')).toMatch(/^"\w+";q=\d+;w=60$/);
      expect(headers.get('ratelimit')).toMatch(/^"\w+";r=\d+;t=\d+$/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  it('takes the caller’s request id only where it is short and well-formed', async () => {
    const ask = async (id: string) =>
      (await send('GET', '/healthz', { headers: { 'x-request-id': id } })).headers.get('x-request-id');
    expect(await ask('trace-0123456789')).toBe('trace-0123456789');
    for (const id of ['short', 'x'.repeat(65), 'has space in it', '<script>alert(1)</script>']) {
      expect(await ask(id)).not.toBe(id);
    }
  });
});

describe('a number in a query', () => {
  it('is written in decimal digits', async () => {
    const client = await newClient();
    expect((await client.call('GET', '/v1/keys?limit=007')).status).toBe(200);
    for (const limit of ['1e1', '0x10', '', '%2B5', ' 5', '5.0', '0', '101', '-1']) {
      const problem = await problemOf(await client.call('GET', `/v1/keys?limit=${limit}`));
      expect([limit, problem.code, problem.errors![0]!.pointer]).toEqual([limit, 'parameter_invalid', '/limit']);
    }
  });
});

describe('HEAD', () => {
  it('has the headers of GET, the length included', async () => {
    const client = await newClient();
    for (const path of ['/v1/keys', '/healthz', '/v1/capabilities']) {
      const [get, head] = [await client.call('GET', path), await client.call('HEAD', path)];
      const { byteLength } = await get.arrayBuffer();
      expect([path, head.status, head.headers.get('content-length')]).toEqual([path, 200, String(byteLength)]);
      expect((await head.arrayBuffer()).byteLength).toBe(0);
    }
  });
});

describe('an address without a route', () => {
  it('answers 404, or 405 with the methods that exist', async () => {
    const client = await newClient();
    expect((await problemOf(await client.call('GET', '/v2/vectors'))).code).toBe('not_found');
    const wrong = await client.call('PATCH', '/v1/keys');
    expect((await problemOf(wrong)).code).toBe('method_not_allowed');
    expect(wrong.headers.get('allow')).toBe('GET, HEAD, POST');
    const one = await client.call('PUT', `/v1/vectors/vec_${'a'.repeat(52)}`);
    expect(one.headers.get('allow')).toBe('DELETE, GET, HEAD');
  });

  it('matches parameters by segment', () => {
    const routes = [
      { method: 'ALL', path: '/*' },
      { method: 'GET', path: '/a/:id' },
      { method: 'POST', path: '/a/:id/b' },
    ];
    expect(methodsFor(routes, '/a/1')).toEqual(['GET', 'HEAD']);
    expect(methodsFor(routes, '/a/1/b')).toEqual(['POST']);
    expect(methodsFor(routes, '/a/1/b/c')).toEqual([]);
    expect(methodsFor(routes, '/a/')).toEqual([]);
  });
});

describe('the service itself', () => {
  it('describes its contract and its problems to everybody', async () => {
    const contract = (await (await send('GET', '/openapi.json')).json()) as { openapi: string; paths: object };
    expect(contract.openapi).toBe('3.1.0');
    expect(Object.keys(contract.paths)).toContain('/v1/vectors/{id}');
    const problem = await problemOf(await send('GET', '/v1/keys'));
    const meaning = await send('GET', new URL(problem.type, 'https://edge.test').pathname);
    expect(await meaning.json()).toMatchObject({ code: 'unauthenticated', status: 401 });
    const capabilities = (await (await send('GET', '/v1/capabilities')).json()) as { job_types: { type: string }[] };
    expect(capabilities.job_types.map((job) => job.type)).toContain('sae.train');
  });
});
