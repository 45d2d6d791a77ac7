/** The guides as a newcomer runs them: every block, in order, against a service with a worker. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { guideNames } from '../../infra/site/guides.ts';
import { repositoryRoot } from '../support/guide.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack();
beforeAll(async () => {
  await stack.start();
  await stack.startWorker();
}, 120_000);
afterAll(() => stack.stop());

const textOf = (name: string) => readFileSync(join(repositoryRoot, 'edge/guides', `${name}.md`), 'utf8');
const blocksOf = (name: string) =>
  [...textOf(name).matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({ language, code }));

/** Runs a script to its end; what it printed, with the last line that it began. */
async function bash(script: string): Promise<{ code: number; out: string }> {
  const child = spawn('bash', ['-e', '-o', 'pipefail', '-c', script], {
    env: { PATH: process.env.PATH!, URL: stack.edge.url, KEY: stack.key },
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
  }
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? -1)));
  return { code, out };
}

it('has blocks of one kind, which all run in order in one shell', async () => {
  const blocks = guideNames().flatMap((name) => blocksOf(name).map((block) => ({ name, ...block })));
  expect(blocks.filter(({ language }) => language !== 'sh')).toEqual([]);
  const script = blocks.map(({ name, code }, i) => `echo; echo "== ${name} ${i}"\n${code}`).join('\n');
  const { code, out } = await bash(script);
  expect(code, out.slice(-3000)).toBe(0);
  expect(out.match(/^== /gm)).toHaveLength(blocks.length);
}, 240_000);

it('is served as plain pages that load nothing from elsewhere, the contract with its one script', async () => {
  const pages = ['', ...guideNames().filter((name) => name !== 'start')];
  for (const page of pages) {
    const answer = await fetch(`${stack.edge.url}/docs/${page}`);
    expect(answer.status, page).toBe(200);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'self'/);
    const html = await answer.text();
    expect(html).not.toMatch(/<script|src="http|url\(/);
  }
  const contract = await fetch(`${stack.edge.url}/docs/contract`);
  expect(contract.headers.get('content-security-policy')).toContain(
    "script-src 'self'; style-src 'self' 'unsafe-inline'",
  );
  for (const [, part] of (await contract.text()).matchAll(/(?:src|href)="(\/[^"]*)"/g)) {
    expect((await fetch(`${stack.edge.url}${part}`)).status, part).toBe(200);
  }
  expect((await fetch(`${stack.edge.url}/docs`, { redirect: 'manual' })).status).toBe(308);
  const missing = await fetch(`${stack.edge.url}/docs/nothing`);
  expect([missing.status, missing.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
});
