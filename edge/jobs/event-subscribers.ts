/** Who waits for news of one job or run: event streams, and requests that wait for its end. */
import { type Frame, frameOf } from '../../shared/contracts/job-event.ts';

/** A comment line this often keeps proxies from closing a quiet stream. */
const KEEPALIVE_MS = 15_000;

export class EventSubscribers {
  readonly #streams = new Set<{ send(text: string): void; end(): void }>();
  readonly #waiting = new Set<() => void>();

  /**
   * An SSE answer: the frames so far, then each new one; it ends with the job. 204, which tells a client not to come
   * again, where it has ended and nothing is left to say.
   */
  stream(backlog: readonly Frame[], ended: boolean): Response {
    if (ended && backlog.length === 0) {
      return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } });
    }
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const encoder = new TextEncoder();
    const send = (text: string) => void writer.write(encoder.encode(text)).catch(leave);
    const keepalive = setInterval(() => send(': still here\n\n'), KEEPALIVE_MS);
    const member = {
      send,
      end: () => {
        leave();
        void writer.close().catch(() => {});
      },
    };
    const leave = () => {
      clearInterval(keepalive);
      this.#streams.delete(member);
    };
    void writer.closed.catch(leave);
    this.#streams.add(member);
    send(`retry: 2000\n\n${backlog.map(frameOf).join('')}`);
    if (ended) {
      member.end();
    }
    return new Response(readable, {
      headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' },
    });
  }

  tell(event: Frame): void {
    for (const member of this.#streams) {
      member.send(frameOf(event));
    }
  }

  /** The job has ended: streams close and waiting requests go on. */
  dismiss(): void {
    for (const member of [...this.#streams]) {
      member.end();
    }
    for (const resume of [...this.#waiting]) {
      resume();
    }
  }

  /** Resolves when the job ends, or after `ms`. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer);
        this.#waiting.delete(resume);
        resolve();
      };
      const timer = setTimeout(resume, ms);
      this.#waiting.add(resume);
    });
  }
}
