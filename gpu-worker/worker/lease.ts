/**
 * A claim's hold on its job, as the worker knows it. What was computed is brought to the edge for as long as the edge may
 * take it: an edge that is away ends nothing, its word or the end of the job's running time does.
 */
import { SextantError } from '../../shared/contracts/problem.ts';
import { repeatPassing } from './repeat.ts';

/** Why the job is not this attempt's any more. */
export type LeaseEnd = 'canceled' | 'lost' | 'shutdown';

/** How long a job that is given back may take to say so. */
const LAST_WORD_MS = 5000;

export class Lease {
  readonly #over = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #reason: LeaseEnd | null = null;

  /** @param remaining_ms the edge ends the job by then, whether it can be reached or not */
  constructor(remaining_ms: number) {
    this.#timer = setTimeout(() => this.end('lost'), Math.min(2 ** 31 - 1, remaining_ms));
    this.#timer.unref();
  }

  /** Null while the job is held. */
  get reason(): LeaseEnd | null {
    return this.#reason;
  }

  /** Aborted once the job is not held any more. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  end(reason: LeaseEnd): void {
    this.#reason ??= reason;
    this.close();
  }

  /** Nothing is repeated any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#over.abort();
  }

  /** Repeats through passing troubles while the job is held. Raises the error that does not pass, and the last one at the end. */
  persist<T>(work: () => Promise<T>): Promise<T> {
    return repeatPassing(work, this.#over.signal);
  }

  /** As `persist`, for the word that gives the job back: for a few seconds, after which the signal ends a call that hangs. */
  lastWord<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(LAST_WORD_MS);
    return repeatPassing(() => work(signal), signal);
  }
}

/** The ledger no longer counts on this attempt. */
export const isLost = (error: unknown): boolean =>
  error instanceof SextantError && ['fence_stale', 'job_terminal', 'not_found'].includes(error.code);
