/** What a deployment must be given: looked at once, at the first request, so that the log says it before anything fails half way. */
import type { Env } from '../environment.ts';
import { log } from '../log.ts';

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

let checked = false;

/** Says once, in one sentence, what this deployment lacks: what needs it will fail. */
export function noteMissing(env: Env): void {
  if (checked) {
    return;
  }
  checked = true;
  const missing = REQUIRED.filter((name) => env[name] === undefined || env[name] === '');
  if (missing.length > 0) {
    log.error(`this deployment lacks ${missing.join(', ')}: see the head of wrangler.toml`, {});
  }
}
