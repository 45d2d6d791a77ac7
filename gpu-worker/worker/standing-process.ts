/**
 * A computing process and the orders it computes. onnxruntime blocks its thread and cannot be interrupted, so killing the
 * process is the only way to stop an order within a moment; this side watches it and never computes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { constants, getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ALLOCATOR, YOUNG_OBJECTS } from './allocator.ts';
import { Computation, type Outlets } from './computation.ts';
import type { FromProcess, Order, ToProcess } from './computation-messages.ts';
import { readFrames, writeFrame } from './frames.ts';
import { followOutput } from './process-output.ts';

const ENTRY = join(import.meta.dirname, 'computation-process.ts');
const MEMORY_WATCH_MS = 100;
const KINDS: readonly string[] = [
  'progress',
  'tokens',
  'model',
  'checkpoint',
  'done',
  'failed',
] satisfies FromProcess['kind'][];

/** Takes what a process printed. */
export type Output = (stream: 'stdout' | 'stderr', text: string) => void;

/** Where a process works, and what it may keep. */
type Setup = {
  /** Folder of the attempts; the process makes one of its own in it. */
  scratch: string;
  /** Folder of what outlives processes. */
  cache: string;
  /** Bytes of models and other things that may outlive an order. */
  standing_bytes: number;
  /** Resident bytes beyond which the process is ended. */
  limit_bytes: number;
  output: Output;
  /** It yields the processor to the others: whoever waits for an answer comes before a training. */
  yielding: boolean;
};

export class StandingProcess {
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #toProcess: Writable;
  readonly #limit: number;
  readonly #orders = new Map<number, Computation>();
  #number = 0;
  #alive = true;
  #clean = true;
  /** On whose account the process is ended. */
  #culprit: Computation | null = null;
  /** It has come far enough to take orders. */
  #ready = false;
  #broken = false;

  constructor({ scratch, cache, standing_bytes, limit_bytes, output, yielding }: Setup) {
    this.#limit = limit_bytes;
    mkdirSync(scratch, { recursive: true });
    const folder = mkdtempSync(join(scratch, 'standing-'));
    // The worker's own secrets stay here: a handler gets what its configuration names, by message.
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('SEXTANT_')),
    );
    this.#process = spawn(process.execPath, [...YOUNG_OBJECTS, ENTRY, folder, String(standing_bytes)], {
      // two pipes of our own for messages: Node's channel throws at its reader what is no message
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      // Compiled code is kept, which halves what starting a process costs.
      env: { ...ALLOCATOR, ...environment, NODE_COMPILE_CACHE: join(cache, 'compiled') },
    });
    if (yielding) {
      yieldProcessor(this.#process.pid);
    }
    const [, stdout, stderr, toProcess, fromProcess] = this.#process.stdio as [
      null,
      Readable,
      Readable,
      Writable,
      Readable,
    ];
    this.#toProcess = toProcess;
    // a process that is gone hears nothing
    toProcess.on('error', () => {});
    followOutput(stdout, (text) => output('stdout', text));
    followOutput(stderr, (text) => output('stderr', text));
    readFrames(fromProcess, {
      message: (message) => this.#take(message),
      broken: () => this.#break(),
    });
    this.ended = new Promise((resolve) => {
      const end = (detail: string) => {
        this.#alive = false;
        for (const computation of this.#orders.values()) {
          const displaced = this.#culprit !== null && this.#culprit !== computation;
          computation.processEnded(detail, { displaced, started: this.#ready });
        }
        this.#orders.clear();
        void rm(folder, { recursive: true, force: true }).then(resolve, resolve);
      };
      this.#process.on('error', (error) => end(String(error)));
      // after its last message was read
      this.#process.on('close', (code, signal) =>
        end(
          this.#broken
            ? 'the process wrote something that is no message'
            : `the process ended with ${signal ? `signal ${signal}` : `status ${code}`} before it had a result`,
        ),
      );
    });
  }

  /** Whether it can take orders: it runs, and no order has left anything behind. */
  get fit(): boolean {
    return this.#alive && this.#clean;
  }

  get busy(): boolean {
    return this.#orders.size > 0;
  }

  /** Resident memory in bytes. */
  get resident(): number {
    return this.#alive && this.#process.pid ? residentBytes(this.#process.pid) : 0;
  }

  start(what: Order, outlets: Outlets): Computation {
    const order = ++this.#number;
    const computation: Computation = new Computation(outlets, {
      tell: (message) => this.#tell({ ...message, order }),
      kill: () => this.#killFor(computation),
      shared: () => this.#orders.size > 1,
    });
    const idle = !this.busy;
    this.#orders.set(order, computation);
    this.#tell({ kind: 'order', order, what });
    if (idle) {
      void this.#watchMemory();
    }
    return computation;
  }

  /** Takes no more orders. */
  retire(): void {
    this.#clean = false;
  }

  forget(digests: readonly string[]): void {
    this.#tell({ kind: 'forget', digests });
  }

  #killFor(computation: Computation): void {
    this.#culprit ??= computation;
    this.kill();
  }

  /** Ends the process at once. */
  kill(): void {
    this.#clean = false;
    this.#process.kill('SIGKILL');
  }

  #tell(message: ToProcess): void {
    // The process may be gone by now.
    if (this.#alive && this.#toProcess.writable) {
      void writeFrame(this.#toProcess, message);
    }
  }

  #take(message: unknown): void {
    const report = message as FromProcess | null;
    if (report?.kind === 'ready') {
      this.#ready = true;
    } else if (typeof report === 'object' && report !== null && KINDS.includes(report.kind)) {
      this.#heard(report);
    } else {
      this.#break();
    }
  }

  /** What the process says cannot be relied on any more. */
  #break(): void {
    this.#broken = true;
    this.kill();
  }

  #heard({ order, ...report }: Exclude<FromProcess, { kind: 'ready' }>): void {
    const computation = this.#orders.get(order);
    if (report.kind === 'done' || report.kind === 'failed') {
      this.#orders.delete(order);
      this.#clean &&= report.clean;
    }
    computation?.heard(report);
  }

  async #watchMemory(): Promise<void> {
    while (this.#alive && this.busy) {
      if (this.resident > this.#limit) {
        for (const computation of this.#orders.values()) {
          computation.stop('memory');
        }
        this.kill();
        return;
      }
      await sleep(MEMORY_WATCH_MS, undefined, { ref: false });
    }
  }
}

/** Threads that the process starts later inherit it. */
function yieldProcessor(pid: number | undefined): void {
  try {
    setPriority(pid ?? 0, pid === undefined ? getPriority() : constants.priority.PRIORITY_LOW);
  } catch {
    // Gone already, or not allowed: then the two share as the system decides.
  }
}

/** Resident memory of a process in bytes, 0 where it cannot be read: the second field of statm counts pages. */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return 0;
  }
}
