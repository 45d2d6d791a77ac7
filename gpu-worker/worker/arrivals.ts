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

  pull(): Promise<PulledMessage | null> {
    return this.#queue.pull();
  }

  settle(message: PulledMessage, disposition: Disposition): Promise<void> {
    return this.#queue.settle(message, disposition);
  }

  /**
   * Waits for the next message by `pull`: one poll interval, or as long as nothing rings. Answers null where there was none
   * when it was time to poll.
   */
  async next(pull: () => Promise<PulledMessage | null>, signal: AbortSignal): Promise<PulledMessage | null> {
    const rung = await this.#bell.heard(this.#poll_ms * (0.75 + Math.random() / 2), signal);
    let message = signal.aborted ? null : await pull();
    for (let pause = FIRST_PAUSE_MS; rung && !message && !signal.aborted && pause <= LAST_PAUSE_MS; pause *= 2) {
      await this.#bell.heard(pause, signal);
      message = await pull();
    }
    return message;
  }
}

/** The lanes of which this worker takes jobs. */
export function arrivalsOf({ queue }: Pick<Configuration, 'queue'>, edge: EdgeCalls, log: Log): Arrivals[] {
  const { interactive_id } = queue;
  const batch = new Arrivals(queue, 'batch', edge, log);
  return interactive_id ? [new Arrivals({ ...queue, id: interactive_id }, 'interactive', edge, log), batch] : [batch];
}
