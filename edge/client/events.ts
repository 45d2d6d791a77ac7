/** Server-sent events by `fetch`, since `EventSource` sends no key; a dropped stream is taken up where it broke. */
import { NetworkError } from './errors.ts';
import { delayMs, sleep } from './retry.ts';
import type { CallOptions, Transport } from './transport.ts';

export type EventOptions = CallOptions & {
  /** Only what came after the event of this id. */
  lastEventId?: number;
};
type AnyEvent = { event: string; id: number; data: unknown };

/** Streams that broke without one new event before this is raised as a lost network. */
const MOST_BARREN = 5;

/**
 * Every event after `lastEventId`, each once and in order, until there are no more. Half an event at the end of a broken
 * stream is dropped and comes again. @throws NetworkError, and as any call
 */
export async function* events<E extends AnyEvent>(
  transport: Transport,
  path: string,
  isLast: (event: E) => boolean,
  { lastEventId = 0, signal }: EventOptions,
): AsyncGenerator<E, void, undefined> {
  let last = lastEventId;
  for (let barren = 0; barren < MOST_BARREN; ) {
    const answer = await transport.response('GET', path, {
      headers: { accept: 'text/event-stream', 'last-event-id': last > 0 ? String(last) : undefined },
      ...(signal ? { signal } : {}),
    });
    if (answer.status === 204 || answer.body === null) {
      return;
    }
    const before = last;
    let broken: unknown = null;
    try {
      for await (const event of framesOf<E>(answer.body)) {
        if (event.id > last) {
          last = event.id;
          yield event;
          if (isLast(event)) {
            return;
          }
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      broken = error;
    }
    barren = broken !== null && last === before ? barren + 1 : 0;
    await sleep(delayMs(barren, null, Math.random), signal);
  }
  throw new NetworkError(`the events of ${path} broke off ${MOST_BARREN} times in a row without a new one`);
}

/** Whole frames of a stream (HTML, 9.2.6); comments and fields that are not known are passed over. */
async function* framesOf<E extends AnyEvent>(body: ReadableStream<Uint8Array>): AsyncGenerator<E, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      text += decoder.decode(value, { stream: true });
      // a carriage return at the very end may be half of a line's end
      const frames = text.split(/\r\n\r\n|\n\n|\r\r(?!$)/);
      text = frames.pop() ?? '';
      for (const frame of frames) {
        const event = parse<E>(frame);
        if (event !== null) {
          yield event;
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parse<E extends AnyEvent>(frame: string): E | null {
  let [event, id, data] = ['message', 0, ''];
  for (const line of frame.split(/\r\n|\n|\r/)) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === 'event') {
      event = value;
    } else if (name === 'id') {
      id = Number(value);
    } else if (name === 'data') {
      data += (data === '' ? '' : '\n') + value;
    }
  }
  return data === '' ? null : ({ event, id, data: JSON.parse(data) } as E);
}
