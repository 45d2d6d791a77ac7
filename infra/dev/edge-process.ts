/** Starts and stops the local edge with its queue gateway, as a process group of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ENTRY = join(import.meta.dirname, 'edge-server.ts');
const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 10_000;

export type EdgeOptions = {
  port: number;
  /** State lies below. */
  data: string;
  /** Variables and secrets of the edge; `S3_ENDPOINT` is set to the local one. */
  vars: Record<string, string>;
  gatewayVars?: Record<string, string>;
  /** Module that stands in the place of the edge's own entry, which it wraps. */
  entry?: string;
};
export type Value = string | number | null;
type Row = Record<string, unknown>;
/** A statement for the edge's database or a body for its queue, and the answer. */
export type Request = { call: number } & ({ sql: string; values: readonly Value[] } | { enqueue: unknown });
export type Executed = { call: number; rows?: Row[]; error?: string };

export class EdgeProcess {
  readonly url: string;
  readonly #process: ChildProcess;
  #calls = 0;

  #stopping = false;
  /** Resolves when the process has ended unasked, with everything that it had started. */
  readonly ended: Promise<void>;

  constructor(child: ChildProcess, url: string) {
    this.#process = child;
    this.url = url;
    this.ended = new Promise((resolve) => {
      child.once('exit', () => {
        if (this.#stopping) {
          return;
        }
        try {
          // workerd outlives a killed parent
          process.kill(-this.pid, 'SIGKILL');
        } catch {
          // nobody of the group is left
        }
        resolve();
      });
    });
  }

  /** Of the process that runs the pair; workerd is its child. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Runs a statement in the edge's database, as an operator would with `wrangler d1 execute`. */
  execute(sql: string, values: readonly Value[] = []): Promise<Row[]> {
    return this.#ask({ call: ++this.#calls, sql, values });
  }

  /** Puts a body onto the job queue, as whoever holds a Queues token could. */
  async enqueue(body: unknown): Promise<void> {
    await this.#ask({ call: ++this.#calls, enqueue: body });
  }

  /** Several may be asked at a time. Raises an Error with the edge's own, or where it ends before it has answered. */
  #ask(request: Request): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      const settle = (error: string | undefined, rows: Row[] = []): void => {
        this.#process.off('message', heard);
        this.#process.off('exit', gone);
        if (error === undefined) {
          resolve(rows);
        } else {
          reject(new Error(error));
        }
      };
      const heard = (answer: Executed): void => {
        if (answer.call === request.call) {
          settle(answer.error, answer.rows);
        }
      };
      const gone = (): void => settle('the edge ended before it answered');
      this.#process.on('message', heard);
      this.#process.once('exit', gone);
      this.#process.send(request, (error) => error && settle(error.message));
    });
  }

  /** Stops the whole group and waits for its end; SIGKILL stands for a power cut. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const { pid } = this.#process;
    this.#stopping = true;
    if (!pid || this.#process.exitCode !== null || this.#process.signalCode !== null) {
      return;
    }
    const ended = once(this.#process, 'exit');
    // The entry stops workerd itself when asked; only a kill has to reach every process.
    process.kill(signal === 'SIGKILL' ? -pid : pid, signal);
    if ((await Promise.race([ended, sleep(STOP_LIMIT_MS, 'late', { ref: false })])) === 'late') {
      process.kill(-pid, 'SIGKILL');
    }
    await ended;
  }
}

/** Starts the pair and waits until it answers. Raises an Error with the last output when it does not. */
export async function startEdge(options: EdgeOptions, log?: (text: string) => void): Promise<EdgeProcess> {
  mkdirSync(options.data, { recursive: true });
  const child = spawn(process.execPath, [ENTRY], {
    // A group of its own, since workerd outlives a killed parent.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', WRANGLER_HIDE_BANNER: 'true', WRANGLER_LOG: 'error' },
  });
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4000);
      log?.(chunk.toString());
    });
  }
  const edge = new EdgeProcess(child, `http://127.0.0.1:${options.port}`);
  child.send(options);
  const first = await Promise.race([
    once(child, 'message').then(() => 'ready'),
    once(child, 'exit').then(() => 'ended'),
    sleep(START_LIMIT_MS, 'late', { ref: false }),
  ]);
  if (first === 'ready') {
    return edge;
  }
  await edge.stop('SIGKILL');
  throw new Error(`the edge did not start (${first}): ${tail}`);
}
