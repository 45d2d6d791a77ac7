/** The command as a process: exit statuses, what is printed where, keys, interrupts. A scripted service answers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../edge/client/index.ts';

const MAIN = join(import.meta.dirname, '../../../edge/client/command/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'sextant-command-'));
const at = (name: string): string => join(folder, name);
const JOB = `job_${'a'.repeat(26)}`;
const ART = `art_${'b'.repeat(26)}`;
const bytes = Buffer.from('0123456789'.repeat(1000));
const digestOf = (content: Uint8Array): string => {
  const digest = sha256();
  digest.update(content);
  return digest.hex();
};

const job = (status: string, error: unknown = null) => ({
  id: JOB,
  type: 'diagnostics.run',
  status,
  result: status === 'succeeded' ? { steps: 3 } : null,
  error,
});
const problem = (status: number, code: string) => ({
  status,
  body: { type: '', title: '', status, detail: `${code} it is`, instance: '/', code, request_id: 'req_1' },
});

/** What the service says of a job of this kind: named by the label, so that tests run at once. */
const sent: { method: string; path: string; body: string; headers: IncomingMessage['headers'] }[] = [];
let canceled = 0;

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request;
  const body = Buffer.concat(await request.toArray()).toString();
  sent.push({ method, path: url, body, headers: request.headers });
  const answer = (status: number, value: unknown): void => {
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
    response.end(JSON.stringify(value));
  };
  const kind = request.headers.authorization?.replace('Bearer ', '') ?? '';
  const refusals: Record<string, [number, string]> = {
    revoked: [401, 'unauthenticated'],
    weak: [403, 'scope_missing'],
    absent: [404, 'not_found'],
    poor: [402, 'spending_cap'],
    wrong: [422, 'validation_failed'],
  };
  const refused = refusals[kind];
  if (refused) {
    const { status, body } = problem(...refused);
    return answer(status, body);
  }
  if (url.startsWith('/html')) {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    return;
  }
  if (url.endsWith('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const frame = (id: number, event: string, data: unknown) =>
      response.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    frame(1, 'progress', { fraction: 0.5, stage: 'half', metrics: {}, attempt: 1, at: '' });
    if (kind !== 'endless') {
      frame(2, 'status', { status: kind === 'good' ? 'succeeded' : kind, attempt: 1, at: '', error: null });
      response.end();
    }
    return;
  }
  if (url.endsWith('/cancel')) {
    canceled += 1;
    return answer(200, job('canceled'));
  }
  if (url.startsWith('/v1/artefacts') && method === 'GET') {
    response.writeHead(200, { etag: `"${digestOf(bytes)}"`, 'content-length': bytes.length }).end(bytes);
    return;
  }
  if (url === '/v1/capabilities') {
    return answer(200, { limits: { shard_bytes: 5 } });
  }
  if (url.startsWith('/v1/artefacts')) {
    return answer(200, { id: ART, state: 'stored', upload: null });
  }
  if (url.startsWith('/v1/jobs?')) {
    return answer(200, {
      data: [{ id: JOB, type: 'evil\u202e\u001b[31m', status: 'failed', created_at: 'now' }],
      next_cursor: null,
    });
  }
  const error = { code: 'hook_unknown', detail: 'no such hook', attempt: 1 };
  answer(
    method === 'POST' ? 202 : 200,
    job(kind === 'good' ? 'succeeded' : kind === 'endless' ? 'running' : kind, kind === 'failed' ? error : null),
  );
}

let server: Server;
let url = '';
beforeAll(async () => {
  server = createServer((request, response) => void serve(request, response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

type Ended = { status: number | null; out: string; err: string };
function start(args: readonly string[], environment: Record<string, string | undefined> = { SEXTANT_KEY: 'good' }) {
  const child = spawn(process.execPath, [MAIN, '--url', url, ...args], {
    env: { PATH: process.env.PATH, HOME: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = { status: null as number | null, out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    ended.out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    ended.err += chunk.toString();
  });
  const end: Promise<Ended> = once(child, 'close').then(([status]) => ({ ...ended, status: status as number }));
  return { child: child as ChildProcess, end, ended };
}
const sextant = (args: readonly string[], environment?: Record<string, string | undefined>): Promise<Ended> =>
  start(args, environment).end;
const as = (kind: string) => ({ SEXTANT_KEY: kind });

describe('sextant', () => {
  it('ends with the documented status', async () => {
    const run = ['run', 'diagnostics.run'];
    const trials: [number, RegExp, Promise<Ended>][] = [
      [0, /^$|is created/, sextant(run)],
      [1, /hook_unknown: no such hook/, sextant(run, as('failed'))],
      [2, /there is no job type nonsense; the types are .*sae\.train/, sextant(['run', 'nonsense'])],
      [2, /diagnostics\.run:\n {2}.*steps/, sextant([...run, '--param', 'steps=many'])],
      [2, /unknown option '--key'/, sextant(['--key', 'secret', 'usage'])],
      [2, /validation_failed it is .*req_1/, sextant(['usage'], as('wrong'))],
      [3, /no API key: set SEXTANT_KEY/, sextant(['usage'], {})],
      [3, /unauthenticated/, sextant(['usage'], as('revoked'))],
      [3, /scope_missing/, sextant(['usage'], as('weak'))],
      [4, /not_found/, sextant(['jobs', 'get', JOB], as('absent'))],
      [5, /spending_cap/, sextant(['jobs', 'create', 'diagnostics.run'], as('poor'))],
      [6, /is this its address/, sextant(['--url', `${url}/html`, 'usage'])],
      [7, /was canceled/, sextant(['jobs', 'watch', JOB], as('canceled'))],
    ];
    for (const [status, said, trial] of trials) {
      const { err, status: found } = await trial;
      expect([found, err]).toEqual([status, expect.stringMatching(said)]);
    }
  });

  it('detaches when it is interrupted, and cancels only where it was asked to', async () => {
    const interrupted = async (...more: string[]): Promise<Ended> => {
      const { child, end, ended } = start(['run', 'diagnostics.run', ...more], as('endless'));
      const before = sent.length;
      while (!sent.slice(before).some(({ path }) => path.endsWith('/events')) || !ended.err.includes('created')) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      child.kill('SIGINT');
      return end;
    };
    const left = await interrupted();
    expect([left.status, canceled]).toEqual([8, 0]);
    expect(left.err).toContain(`sextant jobs watch ${JOB}`);
    expect([(await interrupted('--cancel-on-interrupt')).status, canceled]).toEqual([7, 1]);
  });

  it('prints JSON lines in a pipe, and notes beside them', async () => {
    const [list, watch, run] = await Promise.all([
      sextant(['jobs', 'list', '--limit', '3']),
      sextant(['jobs', 'watch', JOB]),
      sextant(['--quiet', 'run', 'diagnostics.run']),
    ]);
    expect(JSON.parse(list.out)).toMatchObject({ id: JOB });
    expect(
      watch.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).event ?? JSON.parse(line).status),
    ).toEqual(['progress', 'status', 'succeeded']);
    expect([JSON.parse(run.out).result, run.err]).toEqual([{ steps: 3 }, '']);
  });

  it("takes a key from a file that is its owner's alone", async () => {
    writeFileSync(at('key'), 'good\n', { mode: 0o600 });
    const file = { SEXTANT_KEY_FILE: at('key') };
    expect((await sextant(['jobs', 'get', JOB], file)).status).toBe(0);
    chmodSync(at('key'), 0o644);
    expect(await sextant(['jobs', 'get', JOB], file)).toMatchObject({
      status: 3,
      err: expect.stringContaining('chmod 600'),
    });
  });

  it('uploads a file where an artefact is asked for, and a downloaded one has its name only when it is whole', async () => {
    writeFileSync(at('people.csv'), 'a,b\n1,2\n');
    const params = [
      '--param',
      `table.artefact=@${at('people.csv')}`,
      '--param',
      'predictions=a',
      '--param',
      'labels=b',
    ];
    const before = sent.length;
    const refused = await sextant(['run', 'fairness.audit', ...params, '--param', 'nonsense=1']);
    expect([refused.status, sent.length]).toEqual([2, before]);
    await sextant([
      'jobs',
      'create',
      'fairness.predict',
      '--param',
      `predictor=prd_${'a'.repeat(52)}`,
      '--param',
      `table.artefact=@${at('people.csv')}`,
    ]);
    const [announced, , created] = sent.slice(before);
    expect(JSON.parse(announced!.body)).toMatchObject({
      name: 'people.csv',
      sha256: digestOf(readFileSync(at('people.csv'))),
      bytes: 8,
    });
    expect(JSON.parse(created!.body).params.table.artefact).toBe(ART);

    const archive = ['--param', `source.archive=@${at('people.csv')}`];
    const import_ = sent.length;
    await sextant(['jobs', 'create', 'model.import', ...archive]);
    expect(JSON.parse(sent.at(-1)!.body).params.source).toEqual({ archive: [ART, ART] });
    const parts = sent.slice(import_).filter(({ path }) => path === '/v1/artefacts');
    expect(parts.map(({ body }) => JSON.parse(body).bytes)).toEqual([5, 3]);

    const whole = await sextant(['artefacts', 'download', ART, at('whole.bin')]);
    expect([whole.status, readFileSync(at('whole.bin')).equals(bytes), existsSync(at('whole.bin.part'))]).toEqual([
      0,
      true,
      false,
    ]);
    const full = await sextant(['artefacts', 'download', ART, at('nowhere/x.bin')]);
    expect([full.status, full.err]).toEqual([2, expect.stringContaining('there is no such folder')]);
    const missing = await sextant(['artefacts', 'upload', at('nothing')]);
    expect([missing.status, missing.err]).toEqual([2, expect.stringContaining('cannot be read (ENOENT)')]);
  });
});
