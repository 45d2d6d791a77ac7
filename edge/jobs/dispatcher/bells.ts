/**
 * The sockets over which a lane's dispatcher tells workers that something is on its queue, and workers tell it that they are
 * there. They sleep with the object. A ring carries nothing: who misses one finds the message by its next poll.
 */
import { type Announcement, announceRequestSchema, BELL_LIFE_MS, RING } from '../../../shared/contracts/worker-call.ts';

/** Beyond this a socket is closed: its worker's signature may have been withdrawn since. */
const LONGEST_LIFE_MS = 1.5 * BELL_LIFE_MS;

type Held = { worker: string; until: number };

export class Bells {
  readonly #context: DurableObjectState;
  /** When each worker was rung last, so that two messages wake two workers. */
  readonly #rung = new Map<string, number>();

  constructor(context: DurableObjectState) {
    this.#context = context;
  }

  /** Opens the worker's bell; the route has checked who it is. */
  open(worker: string, now: number): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    for (const old of this.#context.getWebSockets(worker)) {
      close(old);
    }
    this.#context.acceptWebSocket(server, [worker]);
    server.serializeAttachment({ worker, until: now + LONGEST_LIFE_MS } satisfies Held);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Who says what over a socket; null where it says nothing that counts, and is closed. */
  heard(socket: WebSocket, text: string | ArrayBuffer, now: number): (Announcement & { worker: string }) | null {
    const held = socket.deserializeAttachment() as Held | null;
    const parsed = announceRequestSchema.safeParse(typeof text === 'string' ? jsonOf(text) : null);
    if (!held || held.until < now || !parsed.success) {
      close(socket);
      return null;
    }
    return { ...parsed.data, worker: held.worker };
  }

  /** Rings for the one of these workers that has been left alone longest; no bell at all is a lost ring. */
  ring(idle: ReadonlySet<string>, now: number): void {
    let next: { socket: WebSocket; worker: string; rung: number } | null = null;
    for (const socket of this.#context.getWebSockets()) {
      const { worker = '' } = (socket.deserializeAttachment() ?? {}) as Partial<Held>;
      const rung = this.#rung.get(worker) ?? 0;
      if (idle.has(worker) && socket.readyState === WebSocket.OPEN && (next === null || rung < next.rung)) {
        next = { socket, worker, rung };
      }
    }
    if (next) {
      this.#rung.delete(next.worker);
      this.#rung.set(next.worker, now);
      next.socket.send(RING);
    }
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function close(socket: WebSocket): void {
  try {
    socket.close(1000, 'open a new one');
  } catch {
    // it is closed already
  }
}
