/**
 * `npm run bench -- client [--rounds 10] [--mib 1024] [--save]`: what the client costs beside a bare `fetch` with the same
 * headers, its transfers beside `curl`, the command's cold start beside `node -e 0`, and the sizes of the pages. Everything over
 * the loopback, against one server in a process of its own; about five minutes.
 */
import { type ChildProcess, execFile, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Sextant } from '../../edge/client/index.ts';
import { repositoryRoot } from '../support/guide.ts';
import { interleaved, ratios, type Summary, show, summary, timed } from './pairs.ts';

const CALLS = 300;
const executed = promisify(execFile);
type Line = { what: string; unit: string; figure: Summary; target: number | null };

async function startServer(bytes: number): Promise<{ child: ChildProcess; url: string }> {
  const child = fork(join(import.meta.dirname, 'client/server.ts'), [String(bytes)]);
  const [port] = (await once(child, 'message')) as [number];
  return { child, url: `http://127.0.0.1:${port}` };
}

/** CPU milliseconds of this process. */
async function cpuOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function calls(url: string, rounds: number): Promise<Line> {
  const client = new Sextant({ url, key: 'sextant_bench' });
  const repeat = (one: () => Promise<unknown>) => () =>
    cpuOf(async () => {
      for (let i = 0; i < CALLS; i++) {
        await one();
      }
    });
  const bare = async (): Promise<unknown> => {
    const answer = await fetch(`${url}/v1/jobs/job_a`, { headers: { authorization: 'Bearer sextant_bench' } });
    return answer.json();
  };
  const times = await interleaved(rounds, { client: repeat(() => client.jobs.get('job_a')), bare: repeat(bare) });
  return {
    what: 'CPU of a call, beside fetch',
    unit: 'times',
    figure: summary(ratios(times.client!, times.bare!)),
    target: 1.3,
  };
}

async function transfers(url: string, folder: string, mib: number, rounds: number): Promise<Line[]> {
  const file = join(folder, 'file');
  execFileSync('dd', ['if=/dev/urandom', `of=${file}`, 'bs=1M', `count=${mib}`], { stdio: 'ignore' });
  const above: number[] = [];
  const transfer = (what: string, path: string) => async () => {
    const { stdout } = await executed(process.execPath, [
      join(import.meta.dirname, 'client/transfer.ts'),
      what,
      url,
      path,
    ]);
    const { ms, above: bytes } = JSON.parse(stdout) as { ms: number; above: number };
    above.push(bytes / 2 ** 20);
    return ms;
  };
  const curl =
    (...args: string[]) =>
    () =>
      timed(() => executed('curl', ['-sS', '--fail', '-o', '/dev/null', ...args]));
  const to = join(folder, 'to');
  const up = await interleaved(rounds, { client: transfer('upload', file), curl: curl('-T', file, `${url}/upload`) });
  const down = await interleaved(rounds, {
    client: transfer('download', to),
    curl: () => timed(() => executed('curl', ['-sS', '--fail', '-o', to, `${url}/v1/artefacts/art`])),
  });
  return [
    {
      what: `upload of ${mib} MiB, beside curl`,
      unit: 'times',
      figure: summary(ratios(up.client!, up.curl!)),
      target: 1.2,
    },
    {
      what: `download of ${mib} MiB, beside curl`,
      unit: 'times',
      figure: summary(ratios(down.client!, down.curl!)),
      target: 1.2,
    },
    { what: 'memory of a transfer above the idle process', unit: 'MiB', figure: summary(above), target: 64 },
  ];
}

/** Milliseconds until the process has said its first byte, or ended. */
const firstByte = (args: readonly string[]) => async (): Promise<number> => {
  const began = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), ended]);
  const ms = performance.now() - began;
  await ended;
  return ms;
};

async function coldStart(rounds: number): Promise<Line> {
  execFileSync(process.execPath, [join(repositoryRoot, 'infra/client/pack.ts')], {
    cwd: repositoryRoot,
    stdio: 'ignore',
  });
  const command = join(repositoryRoot, 'dist/client/command/main.js');
  const times = await interleaved(3 * rounds, {
    command: firstByte([command, '--help']),
    node: firstByte(['-e', '0']),
  });
  return {
    what: 'first byte of the command, beside node -e 0',
    unit: 'times',
    figure: summary(ratios(times.command!, times.node!)),
    target: 4,
  };
}

function pages(): Line[] {
  const kib = (path: string): Summary => {
    const size = gzipSync(readFileSync(join(repositoryRoot, path))).length / 1024;
    return { median: size, low: size, high: size };
  };
  return [
    { what: 'the client, gzip', unit: 'KiB', figure: kib('dist/client/index.js'), target: 15 },
    { what: 'script of the page, gzip', unit: 'KiB', figure: kib('edge/site/ui/app.js'), target: 60 },
    { what: 'style sheet of the page, gzip', unit: 'KiB', figure: kib('edge/site/ui/style.css'), target: null },
    { what: 'the first guide, gzip', unit: 'KiB', figure: kib('edge/site/docs/index.html'), target: null },
  ];
}

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      rounds: { type: 'string', default: '10' },
      mib: { type: 'string', default: '1024' },
      save: { type: 'boolean', default: false },
    },
  });
  const [rounds, mib] = [Number(values.rounds), Number(values.mib)];
  const folder = mkdtempSync(join(tmpdir(), 'sextant-bench-client-'));
  const { child, url } = await startServer(mib * 2 ** 20);
  try {
    const lines = [
      await calls(url, rounds),
      ...(await transfers(url, folder, mib, Math.max(2, Math.floor(rounds / 2)))),
      await coldStart(rounds),
      ...pages(),
    ];
    for (const { what, figure, unit, target } of lines) {
      console.log(`${what}: ${show(figure, 2)} ${unit}${target === null ? '' : ` (target ${target})`}`);
    }
    if (values.save) {
      const host = {
        machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
        node: process.version,
        load: loadavg()[0],
        rounds,
      };
      writeFileSync(
        join(import.meta.dirname, 'results/client.json'),
        `${JSON.stringify({ ...host, lines }, null, 2)}\n`,
      );
    }
  } finally {
    child.disconnect();
    rmSync(folder, { recursive: true, force: true });
  }
}
