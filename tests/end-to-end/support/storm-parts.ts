/** The parts of a stack that a storm kills, one at a time, and starts again: each is given so long, and nothing waits for ever. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf, isAlive, type Stack, type Worker } from './stack.ts';
import type { TroubledLine } from './troubled-line.ts';

export const PARTS = ['worker', 'worker asked to stop', 'computation', 'edge', 'line'] as const;
export type Part = (typeof PARTS)[number];

/** A worker that is told to stop gives its job back and ends; one that has not by then is said to hang. */
const STOP_LIMIT_MS = 40_000;
const LINE_CUT_MS = 6000;

export class StormParts {
  readonly #stack: Stack;
  readonly #line: TroubledLine;
  readonly #workers: number;
  /** A number from 0 to 1. */
  readonly #draw: () => number;
  readonly kills: Record<string, number> = {};
  /** How long workers that were told to stop took, in ms. */
  readonly stops: number[] = [];

  /** @param line the workers' */
  constructor(stack: Stack, line: TroubledLine, workers: number, draw: () => number) {
    this.#stack = stack;
    this.#line = line;
    this.#workers = workers;
    this.#draw = draw;
  }

  /** Starts whatever is not there: an edge that has ended, and workers up to their number. */
  async restore(): Promise<void> {
    const { workers } = this.#stack;
    if (!isAlive(this.#stack.edge.pid)) {
      await this.#stack.startEdge();
    }
    for (const ended of workers.filter((worker) => !isRunning(worker))) {
      workers.splice(workers.indexOf(ended), 1);
    }
    while (workers.length < this.#workers) {
      await this.#stack.startWorker({ edge_url: this.#line.url });
    }
  }

  /** Kills one part and starts it again. Raises an Error where it does not come back, or does not end. */
  async kill(part: Part): Promise<void> {
    this.kills[part] = (this.kills[part] ?? 0) + 1;
    await this.restore();
    const { workers } = this.#stack;
    const worker = workers[Math.floor(this.#draw() * workers.length)] as Worker;
    switch (part) {
      case 'worker':
        await worker.end('SIGKILL');
        return this.restore();
      case 'worker asked to stop':
        await this.#stop(worker);
        return this.restore();
      case 'computation':
        for (const child of childrenOf(worker.process.pid ?? 0)) {
          process.kill(child, 'SIGKILL');
        }
        return;
      case 'edge':
        await this.#stack.edge.stop(this.#draw() < 0.5 ? 'SIGKILL' : 'SIGTERM');
        return this.restore();
      case 'line': {
        const before = this.#line.trouble;
        this.#line.trouble = () => 'refuse';
        await sleep(LINE_CUT_MS);
        this.#line.trouble = before;
      }
    }
  }

  async #stop(worker: Worker): Promise<void> {
    if (!isRunning(worker)) {
      return;
    }
    const began = performance.now();
    const ended = once(worker.process, 'exit');
    worker.process.kill('SIGTERM');
    const late = await Promise.race([ended.then(() => false), sleep(STOP_LIMIT_MS, true, { ref: false })]);
    if (late) {
      await worker.end('SIGKILL');
      throw new Error(`it did not end within ${STOP_LIMIT_MS / 1000} s of SIGTERM; it last said ${lastOf(worker)}`);
    }
    this.stops.push(performance.now() - began);
  }

  /** What is there, in a sentence. */
  describe(): string {
    const { edge, workers } = this.#stack;
    const of = workers.map((worker) => `${worker.id} ${isRunning(worker) ? 'runs' : 'has ended'}: ${lastOf(worker)}`);
    return `the edge ${isAlive(edge.pid) ? 'runs' : 'has ended'}; ${of.join('; ') || 'no worker'}`;
  }
}

const isRunning = ({ process: { exitCode, signalCode } }: Worker): boolean => exitCode === null && signalCode === null;
const lastOf = ({ events }: Worker): string => JSON.stringify(events.at(-1) ?? null).slice(0, 300);
