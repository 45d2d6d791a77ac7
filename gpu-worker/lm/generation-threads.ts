/**
 * Generation on several threads, each with the model to itself on one core and a part of the rows. A step of a small model
 * is too short for two threads to share: they wait for each other in every operator.
 */
import { Worker } from 'node:worker_threads';
import { type JobFailureCode, SextantError } from '../../shared/contracts/problem.ts';
import type { TokenRows } from './batch.ts';
import type { GenerateOptions, Generation } from './generate.ts';
import type { LanguageModel } from './model.ts';

export type Setup = { path: string };
export type Request = { prompts: TokenRows; options: GenerateOptions };
export type Reply = { value: Generation[] } | { code: JobFailureCode | undefined; message: string };

/** Larger weights do not stay in the caches, and would be read once by every thread. */
const LARGEST_MODEL = 32 * 2 ** 20;
/** With fewer rows the threads are not worth the copies of the model that they load. */
const LEAST_ROWS = 2;

export class GenerationThreads {
  readonly #threads: Thread[];

  private constructor(threads: Thread[]) {
    this.#threads = threads;
  }

  /** Threads for a model and a number of rows, or null where one session on all cores does better. */
  static for(model: LanguageModel, rows: number, threads: number): GenerationThreads | null {
    const worthwhile = model.device === 'cpu' && model.folder.bytes <= LARGEST_MODEL && rows >= LEAST_ROWS * threads;
    if (!worthwhile || threads < 2) return null;
    return new GenerationThreads(Array.from({ length: threads }, () => new Thread({ path: model.folder.path })));
  }

  /** As `generate`; interventions carry one vector for all rows. */
  async generate(prompts: TokenRows, options: GenerateOptions): Promise<Generation[]> {
    const numbers = options.rowNumbers ?? [...prompts.keys()];
    const share = Math.ceil(prompts.length / this.#threads.length);
    const parts = this.#threads.map((thread, i) => {
      const [from, to] = [i * share, (i + 1) * share];
      const own = Array.from(prompts.slice(from, to), (prompt) => Array.from(prompt));
      return own.length === 0
        ? []
        : thread.ask({ prompts: own, options: { ...options, rowNumbers: numbers.slice(from, to) } });
    });
    // All threads come to rest before an error goes on: an idle thread can be ended, a computing one cannot.
    const settled = await Promise.allSettled(parts);
    return settled.flatMap((part) => {
      if (part.status === 'rejected') throw part.reason;
      return part.value;
    });
  }

  /** Ends the threads, which must be idle. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }
}

/** One thread, which answers requests in their order. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting: { resolve(value: Generation[]): void; reject(error: Error): void }[] = [];

  constructor(workerData: Setup) {
    this.#worker = new Worker(new URL('./generation-thread.ts', import.meta.url), { workerData });
    this.#worker.on('message', (reply: Reply) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if ('value' in reply) resolve(reply.value);
      else reject(reply.code ? new SextantError(reply.code, reply.message) : new Error(reply.message));
    });
    const failAll = (error: Error) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    };
    this.#worker.on('error', failAll);
    this.#worker.on('exit', () => failAll(new Error('a thread of the generation has ended')));
  }

  ask(request: Request): Promise<Generation[]> {
    this.#worker.postMessage(request);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
