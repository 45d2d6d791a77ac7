/** The Worker's entry: requests, dead letters, the hourly sweep, and the Durable Object classes. */
import { createApp } from './app.ts';
import type { Env } from './environment.ts';
import { consumeDeadLetters } from './jobs/dead-letters.ts';

export { Idempotency } from './jobs/idempotency.ts';
export { Ledger } from './jobs/ledger.ts';
export { QuotaKeeper } from './quota/keeper.ts';

const app = createApp();

export default {
  fetch: (request, env, context) => app.fetch(request, env, context),
  queue: (batch, env) => consumeDeadLetters(batch, env),
} satisfies ExportedHandler<Env>;
