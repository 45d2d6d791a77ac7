/** `npm run pack:client` as a user meets it: installed into an empty folder, imported, run, and type-checked. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'sextant-package-'));
afterAll(() => rmSync(folder, { recursive: true }));
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

beforeAll(() => {
  const tarball = run(process.execPath, join(ROOT, 'infra/client/pack.ts')).trim();
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', tarball);
}, 300_000);

it('depends on nothing, and its library is at most 15 KB', () => {
  const about = JSON.parse(readFileSync(join(folder, 'node_modules/sextant/package.json'), 'utf8'));
  expect([about.dependencies, about.peerDependencies]).toEqual([undefined, undefined]);
  expect(gzipSync(readFileSync(join(folder, 'node_modules/sextant/index.js'))).length).toBeLessThan(15_000);
});

it('is imported and run', () => {
  writeFileSync(
    join(folder, 'use.js'),
    "import { Sextant } from 'sextant';\nconsole.log(new Sextant({ url: 'http://x/' }).url);",
  );
  expect(run(process.execPath, 'use.js')).toBe('http://x\n');
  const command = join(folder, 'node_modules/.bin/sextant');
  expect(run(command, '--help')).toContain('Exit status: 0 done');
  expect(statSync(command).mode & 0o111).toBe(0o111);
});

it("has the contracts' own types", () => {
  writeFileSync(
    join(folder, 'use.ts'),
    `import { Sextant } from 'sextant';
    const sextant = new Sextant({ url: 'http://x' });
    const { model } = await sextant.jobs.run('lm.train', { steps: 100 });
    export const text: string = model;
    // @ts-expect-error an id is a text
    export const number: number = model;
    // @ts-expect-error steps are a number
    await sextant.jobs.run('lm.train', { steps: 'many' });
    // @ts-expect-error there is no such type
    await sextant.jobs.run('nonsense', {});
    for await (const job of sextant.jobs.list()) console.log(job.status satisfies string);
    // @ts-expect-error a summary has no result
    for await (const job of sextant.jobs.list()) console.log(job.result);`,
  );
  const options = [
    '--strict',
    '--noEmit',
    '--target',
    'es2023',
    '--module',
    'nodenext',
    '--lib',
    'es2023,dom,dom.asynciterable',
  ];
  run(join(ROOT, 'node_modules/.bin/tsc'), ...options, 'use.ts');
});
