/** `npm start` as an operator sees it: ready line, signals, restart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { repositoryRoot } from '../support/guide.ts';

const data = mkdtempSync(join(tmpdir(), 'sextant-start-'));
const started: ChildProcess[] = [];
// one that a failed test left running would hold the data folder against the next
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
  }
}, 60_000);
afterAll(() => rmSync(data, { recursive: true, force: true }));

type Started = { process: ChildProcess; url: string; key: string };

async function start(port: number, ...more: string[]): Promise<Started> {
  const child = spawn(
    process.execPath,
    [join(repositoryRoot, 'infra/dev/start.ts'), '--no-demo', '--port', String(port), '--data', data, ...more],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  started.push(child);
  let output = '';
  const ready = new Promise<Started>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const line = /^ready (\S+) key=(\S+)$/m.exec(output);
      if (line) {
        resolve({ process: child, url: line[1]!, key: line[2]! });
      }
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (status) => reject(new Error(`ended with ${status}: ${output}`)));
  });
  return ready;
}

/** First line of what a start that is refused says. */
async function refusal(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [join(repositoryRoot, 'infra/dev/start.ts'), '--no-demo', ...args]);
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  expect((await once(child, 'exit'))[0]).toBe(1);
  return output.split('\n')[0]!;
}

/** Every process below this one, from /proc. */
function descendants(of: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) {
      continue;
    }
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It ended while we looked.
    }
  }
  const below = (pid: number): boolean => {
    for (let up = parents.get(pid); up; up = parents.get(up)) {
      if (up === of) {
        return true;
      }
    }
    return false;
  };
  return [...parents.keys()].filter(below);
}

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

describe.skipIf(!existsSync('/proc/self/stat'))('npm start', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s stops every process, and state survives the restart',
    async (signal) => {
      const port = await freePort();
      const first = await start(port, '--workers', '2');
      const headers = { authorization: `Bearer ${first.key}`, 'content-type': 'application/json' };
      const created = await fetch(`${first.url}/v1/jobs`, {
        method: 'POST',
        headers: { ...headers, 'idempotency-key': `start-${signal}`, prefer: 'wait=30' },
        body: JSON.stringify({ type: 'diagnostics.run', params: { steps: 2, step_ms: 10 } }),
      });
      expect(created.status).toBe(200);
      const { id } = (await created.json()) as { id: string };

      if (signal === 'SIGTERM') {
        const elsewhere = join(data, 'elsewhere');
        expect(await refusal('--data', data, '--port', String(await freePort()))).toMatch(
          /^a service with process id \d+ runs/,
        );
        expect(await refusal('--data', elsewhere, '--port', String(port))).toMatch(
          /^port \d+ cannot be used \(EADDRINUSE\)/,
        );
      }

      const pids = descendants(first.process.pid!);
      // two workers, the edge's process and workerd
      expect(pids.length).toBeGreaterThanOrEqual(4);
      const ended = once(first.process, 'exit');
      first.process.kill(signal);
      await ended;
      // A killed process stays listed until it has been waited for.
      await expect.poll(() => pids.filter(alive), { timeout: 5000 }).toEqual([]);

      const second = await start(port, '--workers', '0');
      try {
        expect(second.key).toBe(first.key);
        const job = (await (await fetch(`${second.url}/v1/jobs/${id}`, { headers })).json()) as { status: string };
        expect(job.status).toBe('succeeded');
      } finally {
        const stopped = once(second.process, 'exit');
        second.process.kill('SIGTERM');
        await stopped;
      }
    },
    // two cold starts, on a machine that may be busy
    180_000,
  );

  test('the end of one member is the end of all: the edge killed, npm told to stop', async () => {
    const killed = await start(await freePort(), '--workers', '1');
    const members = descendants(killed.process.pid!);
    const edge = members.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('edge-server'))!;
    const ended = once(killed.process, 'exit');
    process.kill(edge, 'SIGKILL');
    expect((await ended)[0]).toBe(1);
    await expect.poll(() => members.filter(alive), { timeout: 5000 }).toEqual([]);

    const npm = spawn('npm', ['start', '--', '--no-demo', '--port', String(await freePort()), '--data', data], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.push(npm);
    let output = '';
    npm.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await expect.poll(() => output, { timeout: 60_000 }).toContain('ready http');
    const all = descendants(npm.pid!);
    expect(all.length).toBeGreaterThanOrEqual(4);
    npm.kill('SIGTERM');
    await expect.poll(() => all.filter(alive), { timeout: 15_000 }).toEqual([]);
  }, 180_000);

  test('a wrong option is refused with the usage and status 2', async () => {
    const child = spawn(process.execPath, [join(repositoryRoot, 'infra/dev/start.ts'), '--prot', '1']);
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [status] = await once(child, 'exit');
    expect(status).toBe(2);
    expect(output).toContain('usage: npm start');
  });
});
