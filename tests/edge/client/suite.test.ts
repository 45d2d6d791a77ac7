/** One suite in every runtime that the client is for; a runtime that this machine lacks is skipped and shows as such. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath, programs } from '../../support/browser.ts';

const ROOT = join(import.meta.dirname, '../../..');
type Report = { ran: number; failed: Record<string, string> };

const node20 = programs('node').find((path) => /^v20\./.test(execFileSync(path, ['--version'], { encoding: 'utf8' })));

const scratch = mkdtempSync(join(import.meta.dirname, '.suite-'));
let bundle = '';
beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'cases.ts')],
    bundle: true,
    format: 'esm',
    write: false,
  });
  bundle = outputFiles[0]!.text;
});
afterAll(() => rmSync(scratch, { recursive: true }));

const expectAllWell = ({ ran, failed }: Report): void => {
  expect(failed).toEqual({});
  expect(ran).toBeGreaterThan(20);
};

describe("the client's suite", () => {
  it.skipIf(!node20)('holds in Node 20', async () => {
    const file = join(scratch, 'suite.mjs');
    writeFileSync(file, `${bundle}\nconsole.log(JSON.stringify(await runCases()));`);
    const { stdout } = await promisify(execFile)(node20!, [file], { cwd: ROOT });
    expectAllWell(JSON.parse(stdout) as Report);
  });

  it('holds in workerd', async () => {
    const worker = new Miniflare(
      convertV4MiniflareOptions({
        modules: true,
        compatibilityDate: '2026-11-01',
        script: `${bundle}\nexport default { fetch: async () => Response.json(await runCases()) };`,
      }),
    );
    try {
      expectAllWell((await (await worker.dispatchFetch('http://localhost/')).json()) as Report);
    } finally {
      await worker.dispose();
    }
  });

  it.skipIf(!chromiumPath)('holds in Chromium', async () => {
    let report = (_: Report): void => undefined;
    const reported = new Promise<Report>((resolve) => {
      report = resolve;
    });
    const script = `${bundle}\nfetch('/report', { method: 'POST', body: JSON.stringify(await runCases()) });`;
    const server = createServer(async (request, response) => {
      if (request.method === 'POST') {
        report(JSON.parse(Buffer.concat(await request.toArray()).toString()) as Report);
      }
      const [type, text] = request.url === '/suite.js' ? ['text/javascript', script] : ['text/html', PAGE];
      response.writeHead(200, { 'content-type': type }).end(text);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const options = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      `--user-data-dir=${scratch}/profile`,
    ];
    const browser = spawn(chromiumPath!, [...options, `http://127.0.0.1:${port}/`], { stdio: 'ignore' });
    const ended = once(browser, 'exit');
    try {
      expectAllWell(await reported);
    } finally {
      browser.kill();
      await ended;
      server.closeAllConnections();
      server.close();
    }
  });
});
const PAGE = '<!doctype html><title>suite</title><script type="module" src="/suite.js"></script>';
