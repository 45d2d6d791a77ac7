/** Browsers: pages of listed origins may call, others may not; a stream is told as well. */
import { expect, it } from 'vitest';
import { newClient, send } from '../support/client.ts';

const LISTED = 'https://app.example';
const preflight = (origin: string) =>
  send('OPTIONS', '/v1/generations', {
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,last-event-id',
    },
  });

it('answers the preflight of a listed origin, without credentials', async () => {
  const answer = await preflight(LISTED);
  expect(answer.status).toBe(204);
  expect(answer.headers.get('access-control-allow-origin')).toBe(LISTED);
  expect(answer.headers.get('access-control-allow-methods')).toContain('POST');
  for (const name of ['Authorization', 'Last-Event-ID', 'Idempotency-Key', 'Content-Type']) {
    expect(answer.headers.get('access-control-allow-headers')).toContain(name);
  }
  expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
  expect(answer.headers.get('vary')).toBe('Origin');
});

it('tells pages of other origins nothing', async () => {
  for (const origin of ['https://evil.example', 'https://app.example.evil', 'https://app.example:8443', 'null', '']) {
    const answer = await preflight(origin);
    expect(answer.status).toBe(405);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const { headers } = await send('GET', '/healthz', { headers: { origin } });
    expect(headers.get('access-control-allow-origin')).toBeNull();
  }
});

it('lets a page read answers, refusals and streams, with their headers', async () => {
  const client = await newClient();
  const headers = { origin: LISTED };
  const listed = await client.call('GET', '/v1/jobs', { headers });
  expect(listed.headers.get('access-control-allow-origin')).toBe(LISTED);
  expect(listed.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
  const refused = await send('GET', '/v1/jobs', { headers });
  expect(refused.status).toBe(401);
  expect(refused.headers.get('access-control-allow-origin')).toBe(LISTED);
  const created = await client.call('POST', '/v1/jobs', {
    body: { type: 'diagnostics.run', params: {} },
    headers: { ...headers, 'idempotency-key': 'cors' },
  });
  const { id } = (await created.json()) as { id: string };
  const stream = await client.call('GET', `/v1/jobs/${id}/events`, { headers });
  expect(stream.headers.get('content-type')).toContain('text/event-stream');
  expect(stream.headers.get('access-control-allow-origin')).toBe(LISTED);
  await stream.body!.cancel();
});
