/**
 * The socket over which the edge says that a lane's queue has something, so that a job starts without waiting for the next
 * poll. It carries no job. Over it the worker announces itself as well. While it is down, polls and signed calls do as well.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lane } from '../../shared/contracts/lane.ts';
import { type Announcement, BELL_LIFE_MS, RING } from '../../shared/contracts/worker-call.ts';
import type { EdgeCalls } from './edge-calls.ts';

const AGAIN_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

export class Bell {
  readonly #edge: EdgeCalls;
  readonly #lane: Lane;
  #socket: WebSocket | null = null;
  #rings = 0;
  #wake: (() => void) | null = null;

  constructor(edge: EdgeCalls, lane: Lane) {
    this.#edge = edge;
    this.#lane = lane;
  }

  /** Keeps a socket open until the signal; one that breaks or grows old is replaced. */
  async run(signal: AbortSignal): Promise<void> {
    for (let pause = AGAIN_MS; !signal.aborted; ) {
      const began = performance.now();
      await this.#hold(signal);
      pause = performance.now() - began > LONGEST_PAUSE_MS ? AGAIN_MS : Math.min(LONGEST_PAUSE_MS, 2 * pause);
      await sleep(pause * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
    }
  }

  /** Waits until something rings, or for so long; says how often it rang since it was asked last. */
  async heard(ms: number, signal: AbortSignal): Promise<number> {
    if (this.#rings === 0 && !signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const over = new AbortController();
      const until = AbortSignal.any([signal, over.signal]);
      await Promise.race([woken, sleep(ms, undefined, { signal: until }).catch(() => {})]);
      over.abort();
      this.#wake = null;
    }
    const rings = this.#rings;
    this.#rings = 0;
    return rings;
  }

  /** Says so over the socket; false where there is none. */
  announce(announcement: Announcement): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return false;
    }
    this.#socket.send(JSON.stringify(announcement));
    return true;
  }

  /** One socket, until it ends. */
  async #hold(signal: AbortSignal): Promise<void> {
    const socket = await this.#edge.socket(`/internal/workers/bell/${this.#lane}`).catch(() => null);
    if (!socket) {
      return;
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    // a peer that is gone answers no farewell: nobody waits for it
    const close = (): void => {
      socket.close();
      end();
    };
    const old = setTimeout(close, BELL_LIFE_MS * (0.8 + 0.2 * Math.random()));
    signal.addEventListener('abort', close, { once: true });
    socket.addEventListener('open', () => {
      this.#socket = socket;
      // what was queued while there was no socket
      this.#ring();
    });
    socket.addEventListener('message', ({ data }) => data === RING && this.#ring());
    socket.addEventListener('error', () => end());
    socket.addEventListener('close', () => end());
    await ended;
    clearTimeout(old);
    signal.removeEventListener('abort', close);
    this.#socket = null;
  }

  #ring(): void {
    this.#rings += 1;
    this.#wake?.();
  }
}
