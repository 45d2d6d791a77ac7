/**
 * `npm run bench -- main-job [--data DIR]`: `npm start -- --exit`, from nothing or with the state in DIR, and what it printed
 * (but for the lines of progress) as `results/main-job.txt`, which the README shows.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const START = join(import.meta.dirname, '../../infra/dev/start.ts');
const PORT = '8798';

/** `  type   30 %  stage  numbers` */
const PROGRESS = /^ +\S+ +\d+ % .*\n/gm;

export async function run(options: string[]): Promise<void> {
  const given = options.includes('--data') ? options[options.indexOf('--data') + 1] : null;
  const data = given ?? mkdtempSync(join(tmpdir(), 'sextant-main-job-'));
  try {
    const child = spawn(process.execPath, [START, '--exit', '--port', PORT, '--data', data], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    for await (const part of child.stdout.setEncoding('utf8')) {
      process.stdout.write(part);
      printed += part;
    }
    if (child.exitCode !== 0) {
      await new Promise((resolve) => child.once('exit', resolve));
    }
    if (child.exitCode !== 0) {
      throw new Error(`the main job ended with ${child.exitCode}`);
    }
    const shown = printed
      .replace(PROGRESS, '')
      .replaceAll(PORT, '8787')
      .replace(/key=\S+/, 'key=...')
      .trim();
    writeFileSync(join(import.meta.dirname, 'results/main-job.txt'), `${shown}\n`);
  } finally {
    if (!given) {
      rmSync(data, { recursive: true });
    }
  }
}
