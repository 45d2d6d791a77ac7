/** A GPU worker of the development stack, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const ENTRY = join(import.meta.dirname, '../../gpu-worker/worker/index.ts');
const STOP_LIMIT_MS = 8000;

type WorkerOptions = {
  /** Number of the worker, from 0. */
  n: number;
  of: number;
  data: string;
  edgeUrl: string;
  keyFile: string;
  models: Record<string, string>;
};

/** A worker that does not come back by itself when it ends so: the edge does not know it. */
const UNKNOWN_WORKER = 3;
const RESTART_MS = 1000;

/** Keeps one worker running, as an orchestrator would: one that dies is started again. */
export class WorkerProcess {
  readonly #spawn: () => ChildProcess;
  #process: ChildProcess;
  #stopping = false;

  constructor(spawn: () => ChildProcess) {
    this.#spawn = spawn;
    this.#process = this.#start();
  }

  /** The process that runs now. */
  get current(): ChildProcess {
    return this.#process;
  }

  /** Lets the worker hand its job back, then makes sure that it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      return;
    }
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    if ((await Promise.race([ended, sleep(STOP_LIMIT_MS, 'late', { ref: false })])) === 'late') {
      this.#process.kill('SIGKILL');
      await ended;
    }
  }

  #start(): ChildProcess {
    const child = this.#spawn();
    child.once('exit', async (code) => {
      await sleep(RESTART_MS, undefined, { ref: false });
      if (!this.#stopping && code !== UNKNOWN_WORKER) {
        this.#process = this.#start();
      }
    });
    return child;
  }
}

/** Writes the worker's configuration and starts it; its log lies beside the configuration. */
export async function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { n, of, data, edgeUrl, keyFile, models } = options;
  const folder = join(data, 'workers', String(n));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'worker.json');
  const token = process.env.HF_TOKEN;
  const configuration = {
    edge_url: edgeUrl,
    queue: {
      api_base: `${edgeUrl}/client/v4`,
      account: 'development',
      id: 'sextant-jobs',
      interactive_id: 'sextant-jobs-interactive',
      token: 'development-queues-token',
      poll_ms: 150,
    },
    key_file: keyFile,
    device: 'cpu',
    threads: Math.max(1, Math.floor(availableParallelism() / of)),
    data: '.',
    models,
    hubs: { huggingface: { endpoint: 'https://huggingface.co', ...(token && { token }) } },
  };
  writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`, { mode: 0o600 });
  const log = createWriteStream(join(folder, 'worker.log'), { flags: 'a' });
  const worker = new WorkerProcess(() => {
    const child = spawn(process.execPath, [ENTRY, file], {
      // In a group of its own, so that the terminal's Ctrl-C does not reach it before the start script asks it to stop;
      // by the channel it notices when the start script is gone.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    return child;
  });
  const { current } = worker;
  const first = await Promise.race([
    once(current.stdout as Readable, 'data').then(() => 'ready'),
    once(current, 'exit').then(() => 'ended'),
  ]);
  if (first === 'ready') {
    return worker;
  }
  await worker.stop();
  throw new Error(`worker ${n} did not start: see ${join(folder, 'worker.log')}`);
}
