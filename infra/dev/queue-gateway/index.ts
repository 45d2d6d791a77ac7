/** The gateway's HTTP side: `POST /client/v4/accounts/{account}/queues/{queue}/messages/(pull|ack)`; the rest is the edge's. */
import { type Arrived, type GatewayEnv, PullQueue } from './pull-queue.ts';

export { PullQueue };

const ROUTE = /^\/client\/v4\/accounts\/[^/]+\/queues\/([^/]+)\/messages\/(pull|ack)$/;
const LONGEST_VISIBILITY_MS = 12 * 3_600_000;
const LONGEST_DELAY_S = 12 * 3600;

const success = (result: unknown): Response => Response.json({ success: true, errors: [], messages: [], result });
const refusal = (status: number, code: number, message: string): Response =>
  Response.json({ success: false, errors: [{ code, message }], messages: [], result: null }, { status });

const isWithin = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

async function answer(request: Request, env: GatewayEnv, queue: string, action: string): Promise<Response> {
  if (request.headers.get('authorization') !== `Bearer ${env.QUEUES_TOKEN}`) {
    return refusal(403, 10000, 'Authentication error');
  }
  const body = await request.json<Record<string, unknown>>().catch(() => null);
  if (body === null || typeof body !== 'object') {
    return refusal(400, 10026, 'the body must be a JSON object');
  }
  const stub = env.PULL_QUEUE.getByName(queue);
  if (action === 'pull') {
    const { batch_size = 5, visibility_timeout_ms = 30_000 } = body;
    if (!isWithin(batch_size, 1, 100)) {
      return refusal(400, 10026, 'batch_size must be from 1 to 100');
    }
    if (!isWithin(visibility_timeout_ms, 0, LONGEST_VISIBILITY_MS)) {
      return refusal(400, 10026, 'visibility_timeout_ms must be at most 12 h');
    }
    return success(await stub.pull(batch_size, visibility_timeout_ms));
  }
  const { acks = [], retries = [] } = body as {
    acks?: { lease_id: string }[];
    retries?: { lease_id: string; delay_seconds?: number }[];
  };
  const leases = [...acks, ...retries];
  if (leases.some((entry) => typeof entry?.lease_id !== 'string')) {
    return refusal(400, 10026, 'every entry needs a lease_id');
  }
  if (retries.some(({ delay_seconds = 0 }) => !isWithin(delay_seconds, 0, LONGEST_DELAY_S))) {
    return refusal(400, 10026, 'delay_seconds must be at most 12 h');
  }
  return success(await stub.acknowledge(acks, retries));
}

function base64(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) {
    binary += String.fromCharCode(byte);
  }
  return btoa(binary);
}

/** As the real API: `json` arrives base64-encoded, `text` plain. */
const arrived = ({ id, timestamp, body }: Message): Arrived => ({
  id,
  timestamp_ms: timestamp.getTime(),
  ...(typeof body === 'string'
    ? { body, content_type: 'text' }
    : { body: base64(JSON.stringify(body)), content_type: 'json' }),
});

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith('/client/v4/')) {
      return env.EDGE.fetch(request);
    }
    const match = ROUTE.exec(pathname);
    if (!match || request.method !== 'POST') {
      return refusal(404, 7003, 'no route for that URI');
    }
    return answer(request, env, match[1] ?? '', match[2] ?? '');
  },
  async queue(batch, env) {
    await env.PULL_QUEUE.getByName(batch.queue).put(batch.messages.map(arrived));
  },
} satisfies ExportedHandler<GatewayEnv>;
