import { describe, expect, it } from 'vitest';
import { JSON_LIMIT } from '../../../shared/contracts/body-limit.ts';
import { newClient, problemOf } from '../support/client.ts';

const json = { 'content-type': 'application/json' };
const key = (name: string) => JSON.stringify({ name, scopes: ['vectors:read'] });

describe('a JSON body', () => {
  it('may come with a charset of UTF-8 and another JSON type', async () => {
    const client = await newClient();
    for (const type of ['application/json; charset=utf-8', 'application/vnd.sextant+json', 'Application/JSON']) {
      const answer = await client.call('POST', '/v1/keys', { body: key('k'), headers: { 'content-type': type } });
      expect([type, answer.status]).toEqual([type, 201]);
    }
  });

  it('is refused with what would be right', async () => {
    const client = await newClient();
    const cases: [string, string | Uint8Array, Record<string, string>][] = [
      ['media_type_unsupported', key('k'), { 'content-type': 'text/plain' }],
      ['media_type_unsupported', key('k'), { 'content-type': 'application/json; charset=latin1' }],
      ['media_type_unsupported', key('k'), { ...json, 'content-encoding': 'gzip' }],
      ['media_type_unsupported', key('k'), {}],
      ['body_malformed', '{"name": "k",', json],
      ['body_malformed', '', json],
      ['body_malformed', Uint8Array.of(0x22, 0xc3, 0x28, 0x22), json],
      ['body_malformed', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, json],
      ['body_malformed', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, json],
      ['body_too_large', `"${'x'.repeat(JSON_LIMIT)}"`, json],
      ['body_too_large', new Uint8Array(20_000_000).fill(0x20), json],
      ['validation_failed', '[]', json],
      ['validation_failed', 'null', json],
    ];
    for (const [code, body, headers] of cases) {
      const problem = await problemOf(await client.call('POST', '/v1/keys', { body, headers }));
      expect([body.slice(0, 20), headers, problem.code]).toEqual([body.slice(0, 20), headers, code]);
    }
  });

  it('is refused with a pointer to each field that does not fit', async () => {
    const client = await newClient();
    const body = { name: '', scopes: ['vectors:read', 'vectors:fly'], 'a/b~c': 1 };
    const problem = await problemOf(await client.call('POST', '/v1/keys', { body }));
    expect(problem).toMatchObject({ code: 'validation_failed', status: 422 });
    expect(problem.errors!.map((error) => error.pointer).sort()).toEqual(['/a~1b~0c', '/name', '/scopes/1']);
    expect(problem.errors!.find((error) => error.pointer === '/scopes/1')!.detail).toContain('vectors:read');
  });

  it('is refused where parsing it would lose a field', async () => {
    const client = await newClient();
    const cases: [string, string, string][] = [
      ['name_reserved', '/__proto__', '{"name":"k","scopes":[],"__proto__":{}}'],
      ['name_repeated', '/name', '{"name":"k","scopes":[],"n\\u0061me":"l"}'],
    ];
    for (const [code, pointer, body] of cases) {
      const problem = await problemOf(await client.call('POST', '/v1/keys', { body, headers: json }));
      expect(problem).toMatchObject({ status: 422, code: 'validation_failed', errors: [{ code, pointer }] });
    }
  });

  it('of a caller without a key is not even read', async () => {
    const client = await newClient();
    const answer = await client.call('POST', '/v1/keys', {
      body: 'rubbish',
      headers: { authorization: 'Bearer nobody' },
    });
    expect((await problemOf(answer)).code).toBe('unauthenticated');
  });
});
