/** A GPU worker of the development stack, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ENTRY = join(import.meta.dirname, '../../gpu-worker/inbox/index.ts');
const STOP_LIMIT_MS = 8000;

export type WorkerOptions = {
  /** Number of the worker, from 0. */
  n: number;
  of: number;
  data: string;
  edgeUrl: string;
  keyFile: string;
  models: Record<string, string>;
};

export class WorkerProcess {
  readonly #process: ChildProcess;
  constructor(process: ChildProcess) {
    this.#process = process;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Lets the worker hand its job back, then makes sure that it is gone. */
  async stop(): Promise<void> {
    if (!this.running) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    if ((await Promise.race([ended, sleep(STOP_LIMIT_MS, 'late', { ref: false })])) === 'late') {
      this.#process.kill('SIGKILL');
      await ended;
    }
  }
}

/** Writes the worker's configuration and starts it; its log lies beside the configuration. */
export async function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { n, of, data, edgeUrl, keyFile, models } = options;
  const folder = join(data, 'workers', String(n));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'worker.json');
  const configuration = {
    edge_url: edgeUrl,
    queue: {
      api_base: `${edgeUrl}/client/v4`,
      account: 'development',
      id: 'sextant-jobs',
      token: 'development-queues-token',
      poll_ms: 150,
    },
    key_file: keyFile,
    device: 'cpu',
    threads: Math.max(1, Math.floor(availableParallelism() / of)),
    data: '.',
    models,
  };
  writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`, { mode: 0o600 });
  const child = spawn(process.execPath, [ENTRY, file], {
    // In a group of its own, so that the terminal's Ctrl-C does not reach it before the start script asks it to stop.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(join(folder, 'worker.log'));
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  const first = await Promise.race([
    once(child.stdout, 'data').then(() => 'ready'),
    once(child, 'exit').then(() => 'ended'),
  ]);
  if (first === 'ended') throw new Error(`worker ${n} did not start: see ${join(folder, 'worker.log')}`);
  return new WorkerProcess(child);
}
