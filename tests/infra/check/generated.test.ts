import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

const ROUTE = `/** Says what it is told. */
import { createRoute, z } from '@hono/zod-openapi';
import type { App } from '../environment.ts';
import { json, open } from '../http/declaration.ts';

const read = createRoute({
  ...open,
  method: 'get',
  path: '/v1/echoes/{text}',
  tags: ['echoes'],
  summary: 'Say it again',
  request: { params: z.object({ text: z.string() }) },
  responses: { 200: json(z.object({ text: z.string() }).openapi('Echo'), 'The text') },
});

export default function registerEchoes(app: App): void {
  app.openapi(read, (c) => c.json({ text: c.req.valid('param').text }, 200));
}
`;

/** Serves one request with the application of the copy; of workerd's modules only class names matter. */
const ASK = `
import { registerHooks } from 'node:module';
const url = 'data:text/javascript,export class DurableObject {}';
registerHooks({ resolve: (s, c, next) => (s === 'cloudflare:workers' ? { url, shortCircuit: true } : next(s, c)) });
const { createApp } = await import('./edge/app.ts');
const answer = await createApp().request(process.argv[1]);
console.log(JSON.stringify({ status: answer.status, body: await answer.json() }));
`;

describe('a route added as one file', () => {
  let copy: string;
  const node = (...args: string[]): string =>
    execFileSync(process.execPath, args, { cwd: copy, encoding: 'utf8', stdio: 'pipe' });
  const ask = (path: string) =>
    JSON.parse(node('--input-type=module', '-e', ASK, path)) as { status: number; body: object };

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'sextant-route-'));
    // all that the generator reads: sources, committed results, pages with figures
    for (const part of [
      'edge',
      'shared',
      'gpu-worker',
      'infra',
      'tests/bench',
      'package.json',
      'openapi.json',
      'README.md',
    ])
      cpSync(join(ROOT, part), join(copy, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  });
  afterAll(() => rmSync(copy, { recursive: true }));

  test('is registered, described and served', () => {
    writeFileSync(join(copy, 'edge/routes/echoes.ts'), ROUTE);
    expect(() => node('infra/check/generated.ts')).toThrow(/edge\/routes\/index\.generated\.ts is stale/);
    node('infra/check/generated.ts', '--write');
    expect(ask('/v1/echoes/hello')).toEqual({ status: 200, body: { text: 'hello' } });
    const { paths } = JSON.parse(readFileSync(join(copy, 'openapi.json'), 'utf8')) as { paths: Record<string, object> };
    expect(paths['/v1/echoes/{text}']).toMatchObject({ get: { summary: 'Say it again' } });
  });
});
