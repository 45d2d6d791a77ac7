/** The worker's idea of the edge's time: its own clock may be wrong, and signatures live for a minute only. */
import { EDGE_TIME_HEADER } from '../../shared/contracts/worker-call.ts';

export class EdgeClock {
  #offset_ms = 0;

  /** Milliseconds since the epoch, as the edge counts them. */
  now(): number {
    return Date.now() + this.#offset_ms;
  }

  /** Takes the edge's time from an answer to a request that was sent at `sent_at` of the worker's own clock. */
  learn(headers: Headers, sent_at: number): void {
    const told = Number(headers.get(EDGE_TIME_HEADER));
    if (told > 0) {
      this.#offset_ms = told - (sent_at + Date.now()) / 2;
    }
  }
}
