/** Tells the edge every 15 s that this worker is there for a lane, so that it is counted on; idle or not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Lane } from '../../shared/contracts/lane.ts';
import { ANNOUNCE_MS, type Announcement } from '../../shared/contracts/worker-call.ts';
import type { Bell } from './bell.ts';
import type { EdgeCalls } from './edge-calls.ts';
import type { Log } from './log.ts';

const TIMEOUT_MS = 10_000;
/** A worker that is told to stop does not wait long for its leave. */
const LEAVE_MS = 2000;
const PATH = '/internal/workers/announce';

export class Announcer {
  readonly #edge: EdgeCalls;
  readonly #bell: Pick<Bell, 'announce'>;
  readonly #lane: Lane;
  readonly #log: Log;
  /** The jobs in hand. */
  readonly jobs = new Set<string>();
  /** Why nothing is sent on this worker's account; null while it can work. */
  unwell: string | null = null;
  #silent = false;

  constructor(edge: EdgeCalls, bell: Pick<Bell, 'announce'>, lane: Lane, log: Log) {
    this.#edge = edge;
    this.#bell = bell;
    this.#lane = lane;
    this.#log = log;
  }

  /** Announces until the signal, then takes leave. What does not arrive is said again at the next time. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // one that cannot compute is not counted on
      await this.#announce(this.unwell !== null);
      await sleep(ANNOUNCE_MS * (0.9 + 0.1 * Math.random()), undefined, { signal }).catch(() => {});
    }
    await this.#announce(true);
  }

  /** Over the bell, or by a signed call while it is down; a leave by a call, which is answered. */
  async #announce(leaving: boolean): Promise<void> {
    const announcement: Announcement = { job: [...this.jobs][0] ?? null, leaving, lane: this.#lane };
    if (!leaving && this.#bell.announce(announcement)) {
      this.#silent = false;
      return;
    }
    try {
      const timeout_ms = leaving ? LEAVE_MS : TIMEOUT_MS;
      await this.#edge.post(PATH, announcement, { fence: null, schema: z.unknown(), timeout_ms });
      this.#silent = false;
    } catch (error) {
      if (!this.#silent) {
        this.#log('not announced', { lane: this.#lane, reason: String(error) });
      }
      this.#silent = true;
    }
  }
}
