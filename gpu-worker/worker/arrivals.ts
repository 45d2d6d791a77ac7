/** What arrives in one lane: pulled from its queue as soon as the bell rings, else by polling. */
import type { Lane } from '../../shared/contracts/lane.ts';
import { Announcer } from './announcer.ts';
import { Bell } from './bell.ts';
import type { Configuration } from './configuration.ts';
import type { EdgeCalls } from './edge-calls.ts';
import type { Log } from './log.ts';
import { type Disposition, type PulledMessage, PullQueue } from './queue.ts';

/** A bell may be quicker than the queue: after it has rung, pulls follow each other at first in this distance, doubling. */
const FIRST_PAUSE_MS = 15;
const LAST_PAUSE_MS = 500;

export class Arrivals {
  readonly lane: Lane;
  readonly announcer: Announcer;
  readonly #queue: PullQueue;
  readonly #bell: Bell;
  readonly #poll_ms: number;
  /** Rings whose messages have not come yet: each tells of one. */
  #owed = 0;

  constructor(queue: Configuration['queue'], lane: Lane, edge: EdgeCalls, log: Log) {
    this.lane = lane;
    this.#queue = new PullQueue(queue);
    this.#bell = new Bell(edge, lane);
    this.#poll_ms = queue.poll_ms;
    this.announcer = new Announcer(edge, this.#bell, lane, log);
  }

  /** Keeps bell and announcements going until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#bell.run(signal), this.announcer.run(signal)]);
  }

  pull(most: number): Promise<PulledMessage[]> {
    return this.#queue.pull(most);
  }

  settle(message: PulledMessage, disposition: Disposition): Promise<void> {
    return this.#queue.settle(message, disposition);
  }

  /**
   * Waits for the next messages by `pull`: one poll interval, or as long as nothing rings. Answers none where there were none
   * when it was time to poll.
   */
  async next(pull: () => Promise<PulledMessage[]>, signal: AbortSignal): Promise<PulledMessage[]> {
    const wait = this.#owed > 0 ? FIRST_PAUSE_MS : this.#poll_ms * (0.75 + Math.random() / 2);
    this.#owed += await this.#bell.heard(wait, signal);
    let messages = signal.aborted ? [] : await pull();
    for (let pause = FIRST_PAUSE_MS; this.#owed > 0 && messages.length === 0 && !signal.aborted; pause *= 2) {
      if (pause > LAST_PAUSE_MS) {
        // lost, or taken by another worker
        this.#owed = 0;
        break;
      }
      this.#owed += await this.#bell.heard(pause, signal);
      messages = await pull();
    }
    this.#owed = Math.max(0, this.#owed - messages.length);
    return messages;
  }
}

/** The lanes of which this worker takes jobs. */
export function arrivalsOf({ queue }: Pick<Configuration, 'queue'>, edge: EdgeCalls, log: Log): Arrivals[] {
  const { interactive_id } = queue;
  const batch = new Arrivals(queue, 'batch', edge, log);
  return interactive_id ? [new Arrivals({ ...queue, id: interactive_id }, 'interactive', edge, log), batch] : [batch];
}
