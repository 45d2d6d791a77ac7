/** Server-sent events between a ledger and a client: read frame by frame, written at the client's pace. */
import type { JobEvent } from '../../shared/contracts/job-event.ts';
import type { Env } from '../environment.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { noSuchJob } from '../jobs/waiting.ts';

/** An event, or null for a sign of life between events. */
type Heard = JobEvent | null;

/**
 * The events of a job behind the one with the id `last`, until it has ended. Whoever stops reading has left.
 * @throws SextantError `not_found`
 */
export async function* followJob(env: Env, tenant: string, id: string, last: string): AsyncGenerator<Heard, void> {
  const answer = await ledgerOf(env, id).fetch('https://ledger/events', {
    headers: { 'x-tenant': tenant, 'last-event-id': last },
  });
  if (answer.status === 404) {
    throw noSuchJob(id);
  }
  const reader = answer.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      text += decoder.decode(part.value, { stream: true });
      const frames = text.split('\n\n');
      text = frames.pop() ?? '';
      for (const frame of frames) {
        yield eventOf(frame);
      }
    }
  } finally {
    await reader?.cancel();
  }
}

function eventOf(frame: string): Heard {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(frame)?.[1];
  const [id, event, data] = [field('id'), field('event'), field('data')];
  return id && event && data ? ({ id: Number(id), event, data: JSON.parse(data) } as JobEvent) : null;
}

/** An answer of the texts that a generator makes, taken from it as the client reads. */
export function streamAnswer(texts: AsyncGenerator<string, void>, headers: Record<string, string>): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { value, done } = await texts.next();
      if (done) {
        controller.close();
      } else {
        controller.enqueue(encoder.encode(value));
      }
    },
    cancel: async () => {
      await texts.return();
    },
  });
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', ...headers },
  });
}

/** What tells a client, and everything between, that the stream lives. */
export const SIGN_OF_LIFE = ': still here\n\n';
