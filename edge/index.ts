/** The Worker's entry: requests, dead letters, the hourly clean-up, and the Durable Object classes. */
import { createApp } from './app.ts';
import { cleanUp } from './artefacts/clean-up.ts';
import { takeOperatorEvents } from './audit/operator-events.ts';
import { beginConfirmed } from './deletion/tenant-eraser.ts';
import type { Env } from './environment.ts';
import { noteMissing } from './http/required-bindings.ts';
import { consumeDeadLetters } from './jobs/dead-letters.ts';
import { fastVector } from './vectors/fast-path.ts';

export { TenantEraser } from './deletion/tenant-eraser.ts';
export { Idempotency } from './idempotency/keys.ts';
export { InboundInbox } from './inbound/inbox.ts';
export { Run } from './inbound/runs/run.ts';
export { Dispatcher } from './jobs/dispatcher/dispatcher.ts';
export { Ledger } from './jobs/ledger.ts';
export { QuotaKeeper } from './quota/keeper.ts';
export { SpendingAccount } from './spending/account.ts';
export { DeliveryQueue } from './webhooks/queue.ts';

const app = createApp();

export default {
  fetch(request, env, context) {
    noteMissing(env);
    return fastVector(request) ?? app.fetch(request, env, context);
  },
  queue: (batch, env) => consumeDeadLetters(batch, env),
  scheduled: async (event, env) => {
    await Promise.all([cleanUp(env, event.scheduledTime), beginConfirmed(env), takeOperatorEvents(env)]);
  },
} satisfies ExportedHandler<Env>;
