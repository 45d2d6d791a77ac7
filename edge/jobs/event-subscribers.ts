/** Who waits for news of one job or run: event streams, and requests that wait for its end. */
import { type Frame, frameOf } from '../../shared/contracts/job-event.ts';

/** A comment line this often keeps proxies from closing a quiet stream. */
const KEEPALIVE_MS = 15_000;
/** Frames that a stream takes from the store at a time: a reader that lags keeps no more than these in memory. */
const FRAMES = 64;

type Followed = {
  /** At most `limit` frames behind the one with this id. */
  after(id: number, limit: number): Frame[];
  ended(): boolean;
};
type Following = {
  /** The last frame that the client has. */
  from: number;
  keepalive_ms?: number;
  /** The client has gone before the end. */
  left?: () => void;
};

export class EventSubscribers {
  readonly #streams = new Set<() => void>();
  readonly #waiting = new Set<() => void>();

  /**
   * An SSE answer: the frames so far, then each new one; it ends with the job. Frames are read from where they are stored as
   * the client takes them. 204, which tells a client not to come again, where it has ended and nothing is left to say.
   */
  stream(of: Followed, { from, keepalive_ms = KEEPALIVE_MS, left = () => {} }: Following): Response {
    if (of.ended() && of.after(from, 1).length === 0) {
      return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } });
    }
    const encoder = new TextEncoder();
    let last = from;
    let open = true;
    let wake = () => {};
    const news = () => wake();
    this.#streams.add(news);
    const leave = () => {
      open = false;
      this.#streams.delete(news);
    };
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(encoder.encode('retry: 2000\n\n')),
      pull: async (controller) => {
        while (open) {
          const ended = of.ended();
          const frames = of.after(last, FRAMES);
          if (frames.length > 0) {
            last = frames.at(-1)?.id ?? last;
            return controller.enqueue(encoder.encode(frames.map(frameOf).join('')));
          }
          if (ended) {
            leave();
            return controller.close();
          }
          const news = await within(keepalive_ms, (told) => {
            wake = told;
          });
          if (!news && open) {
            return controller.enqueue(encoder.encode(': still here\n\n'));
          }
        }
      },
      cancel: () => {
        leave();
        wake();
        left();
      },
    });
    return new Response(body, {
      headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' },
    });
  }

  /** Something was stored that streams have to tell. */
  tell(): void {
    for (const news of [...this.#streams]) {
      news();
    }
  }

  /** The job has ended: streams close and waiting requests go on. */
  dismiss(): void {
    this.tell();
    for (const resume of [...this.#waiting]) {
      resume();
    }
  }

  /** Resolves when the job ends, or after `ms`. */
  async wait(ms: number): Promise<void> {
    let waiting = () => {};
    await within(ms, (told) => {
      waiting = told;
      this.#waiting.add(told);
    });
    this.#waiting.delete(waiting);
  }
}

/** The id of the last frame that a client has; 0 for one that begins. */
export function lastEventId(headers: Headers): number {
  const last = Number(headers.get('last-event-id') ?? 0);
  return Number.isSafeInteger(last) && last > 0 ? last : 0;
}

/** Whether the function that `ask` is given was called within `ms`. */
function within(ms: number, ask: (told: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    ask(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
