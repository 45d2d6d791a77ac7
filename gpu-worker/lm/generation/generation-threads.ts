/**
 * Generation on several threads, each with the model to itself on one core and a part of the rows. A step of a small model
 * is too short for two threads to share: they wait for each other in every operator.
 */
import { RequestThread } from '../../runtime/index.ts';
import type { TokenRows } from '../inference/batch.ts';
import type { LanguageModel } from '../inference/model.ts';
import type { GenerateOptions, Generation } from './generation.ts';

export type Setup = { path: string };
export type Request = { prompts: TokenRows; options: GenerateOptions };

/** Larger weights do not stay in the caches, and would be read once by every thread. */
const LARGEST_MODEL = 32 * 2 ** 20;
/** With fewer rows the threads are not worth the copies of the model that they load. */
const LEAST_ROWS = 2;

export class GenerationThreads {
  readonly #threads: RequestThread<Request>[];

  private constructor(threads: RequestThread<Request>[]) {
    this.#threads = threads;
  }

  /** Threads for a model and a number of rows, or null where one session on all cores does better. */
  static for(model: LanguageModel, rows: number, threads: number): GenerationThreads | null {
    const worthwhile = model.device === 'cpu' && model.folder.bytes <= LARGEST_MODEL && rows >= LEAST_ROWS * threads;
    if (!worthwhile || threads < 2) {
      return null;
    }
    const module = new URL('./generation-thread.ts', import.meta.url);
    const setup: Setup = { path: model.folder.path };
    const ended = new Error('a thread of the generation has ended');
    return new GenerationThreads(Array.from({ length: threads }, () => new RequestThread(module, setup, ended)));
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
      if (part.status === 'rejected') {
        throw part.reason;
      }
      return part.value as Generation[];
    });
  }

  /** Ends the threads, which must be idle. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }
}
