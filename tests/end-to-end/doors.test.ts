import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSERT_KEY, keyValues, mintKey } from '../../edge/keys/mint.ts';
import { type EdgeProcess, startEdge } from '../../infra/dev/edge-process.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { freePort } from '../support/free-port.ts';

describe('at the door of the service', () => {
  const data = mkdtempSync(join(tmpdir(), 'sextant-doors-'));
  let edge: EdgeProcess;
  let key = '';
  beforeAll(async () => {
    edge = await startEdge({ port: await freePort(), data, vars: {} });
    const { text, row } = await mintKey({ tenant: 'one', name: 'test', scopes: SCOPES, now: Date.now() });
    await edge.execute(INSERT_KEY, keyValues(row));
    key = text;
  });
  afterAll(async () => {
    await edge?.stop();
    rmSync(data, { recursive: true });
  });

  /** What comes back for these bytes, the connection left open by us (`end`: closed after them). */
  const raw = (text: string, end = false): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(edge.url).port), '127.0.0.1');
      let answer = '';
      socket.on('data', (chunk: Buffer) => {
        answer += chunk.toString('latin1');
        const head = answer.indexOf('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? 0);
        if (head > 0 && answer.length >= head + 4 + length) {
          socket.destroy();
          resolve(answer);
        }
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(answer));
      socket.write(text);
      if (end) {
        socket.end();
      }
    });
  const post = (path: string, headers: string[], body: string): string =>
    [`POST ${path} HTTP/1.1`, 'host: edge.test', ...headers, '', body].join('\r\n');

  it.each([
    ['a key is missing', 401, '/v1/keys', ['content-type: application/json']],
    ['nothing is there', 404, '/v1/nowhere', ['content-type: application/json']],
    ['the method is another', 405, '/healthz', ['content-type: application/json']],
  ])('a refusal waits for no body: %s', async (_, status, path, headers) => {
    const answer = await raw(post(path, [...headers, 'content-length: 900'], '{'));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('refuses by type and by size before the body has come', async () => {
    const authorization = `authorization: Bearer ${key}`;
    const type = await raw(post('/v1/keys', [authorization, 'content-type: text/plain', 'content-length: 900'], 'x'));
    expect(type).toMatch(/^HTTP\/1.1 415 /);
    const headers = [authorization, 'content-type: application/json', 'content-length: 90000000'];
    expect(await raw(post('/v1/keys', headers, '{'))).toMatch(/^HTTP\/1.1 413 /);
  });

  it('calls a damaged body damaged, never an error of its own', async () => {
    const headers = [`authorization: Bearer ${key}`, 'content-type: application/json', 'transfer-encoding: chunked'];
    const answer = await raw(post('/v1/keys', headers, '5\r\n{"nam\r\nzz\r\n'));
    expect(answer).toMatch(/^(HTTP\/1.1 400 |$)/);
    const after = await fetch(`${edge.url}/healthz`);
    expect(after.status).toBe(200);
  });

  it('keeps open to others behind an address what its bad keys are refused', async () => {
    const bad = { headers: { authorization: 'Bearer sxt_wrong' } };
    const statuses: number[] = [];
    for (let batch = 0; batch < 13; batch += 1) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(`${edge.url}/v1/keys`, bad)));
      statuses.push(...answers.map(({ status }) => status));
      await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    }
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect((await fetch(`${edge.url}/healthz`)).status).toBe(200);
  });

  it('answers HEAD with the length of GET', async () => {
    const get = await fetch(`${edge.url}/healthz`);
    const head = await fetch(`${edge.url}/healthz`, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String((await get.arrayBuffer()).byteLength));
  });

  it('takes no address of its answers from the Host header', async () => {
    const answer = await raw('GET /problems/none HTTP/1.1\r\nhost: attacker.test\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 404 /);
    expect(answer).not.toContain('attacker.test');
  });
});
