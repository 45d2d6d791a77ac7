/** Tells the edge every 15 s that this worker is there, so that it is counted on; idle or not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ANNOUNCE_MS } from '../../shared/contracts/worker-call.ts';
import type { EdgeCalls } from './edge-calls.ts';
import type { Log } from './log.ts';

const TIMEOUT_MS = 10_000;
const PATH = '/internal/workers/announce';

export class Announcer {
  readonly #edge: EdgeCalls;
  readonly #log: Log;
  /** The job in hand. */
  job: string | null = null;
  #silent = false;

  constructor(edge: EdgeCalls, log: Log) {
    this.#edge = edge;
    this.#log = log;
  }

  /** Announces until the signal, then takes leave. What does not arrive is said again at the next time. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#announce(false);
      await sleep(ANNOUNCE_MS * (0.9 + 0.1 * Math.random()), undefined, { signal }).catch(() => {});
    }
    await this.#announce(true);
  }

  async #announce(leaving: boolean): Promise<void> {
    try {
      await this.#edge.post(
        PATH,
        { job: this.job, leaving },
        { fence: null, schema: z.unknown(), timeout_ms: TIMEOUT_MS },
      );
      this.#silent = false;
    } catch (error) {
      if (!this.#silent) {
        this.#log('not announced', { reason: String(error) });
      }
      this.#silent = true;
    }
  }
}
