/** What a deployment must be given: looked at once, before anything is answered, so that nothing fails later and half way. */
import type { Env } from './environment.ts';
import { log } from './log.ts';

const REQUIRED = [
  'DB',
  'KV',
  'R2',
  'GPU_QUEUE',
  'LEDGER',
  'IDEMPOTENCY',
  'QUOTA',
  'INBOX',
  'RUN',
  'DISPATCHER',
  'ERASER',
  'SPENDING',
  'DELIVERIES',
  'S3_ENDPOINT',
  'S3_BUCKET',
  'S3_ACCESS_KEY_ID',
  'S3_SECRET_ACCESS_KEY',
  'SIGNING_KEYS',
  'WEBHOOK_KEY',
] as const satisfies readonly (keyof Env)[];

let checked: Env | null = null;

/** The answer while something is missing, which the log names; null where nothing is. */
export function refuseIncomplete(env: Env): Response | null {
  if (checked === env) {
    return null;
  }
  const missing = REQUIRED.filter((name) => env[name] === undefined || env[name] === '');
  if (missing.length === 0) {
    checked = env;
    return null;
  }
  const detail = `this deployment lacks ${missing.join(', ')}: see the head of wrangler.toml`;
  log.error('the edge cannot serve', { reason: detail });
  const body = {
    type: '/problems/unavailable',
    title: 'Temporarily unavailable',
    status: 503,
    code: 'unavailable',
    detail,
  };
  return new Response(JSON.stringify({ ...body, instance: '/', request_id: crypto.randomUUID() }), {
    status: 503,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', 'retry-after': '60' },
  });
}
