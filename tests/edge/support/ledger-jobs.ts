/** Jobs in ledgers of their own, without routes: new ones, and ones that a worker holds. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { unwrap } from '../../../edge/jobs/answer.ts';
import type { Ledger } from '../../../edge/jobs/ledger.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import type { Terms } from '../../../edge/jobs/state.ts';
import { randomId } from '../../../shared/signing/digest.ts';

const termsOf = (more: Partial<Terms> = {}): Terms => ({
  id: randomId('job'),
  tenant: 'tenant',
  type: 'diagnostics.run',
  input_digest: 'a'.repeat(64),
  created_at: Date.now(),
  timeout_ms: 60_000,
  queue_ttl_ms: 60_000,
  max_attempts: 2,
  retention_ms: 60_000,
  inputs_kept_ms: null,
  estimate_s: 1,
  webhook: null,
  labels: {},
  ...more,
});
export const worker1 = randomId('wkr');

/** A new job and the dispatch that went out for it. */
export async function newJob(more: Partial<Terms> = {}, params: Record<string, unknown> = {}) {
  const terms = termsOf(more);
  const ledger = ledgerOf(env, terms.id);
  await ledger.create(terms, { inline: params });
  return { terms, ledger, stub: (env.LEDGER as DurableObjectNamespace<Ledger>).getByName(terms.id) };
}
/** Rows of the database. */
export const rows = async (sql: string, ...values: unknown[]) =>
  (
    await env.DB.prepare(sql)
      .bind(...values)
      .all()
  ).results;

/**
 * Runs one statement in the ledger's own tables, to put it where a crash would have left it: what is changed behind its back
 * it learns by beginning anew.
 */
export const inLedger = async (stub: DurableObjectStub<Ledger>, sql: string, ...values: string[]) => {
  const rows = await runInDurableObject(stub, (_, state) => state.storage.sql.exec(sql, ...values).toArray());
  if (!sql.startsWith('SELECT')) {
    await evictDurableObject(stub);
  }
  return rows;
};

/** Lets the lease of the running attempt end, and the alarm see it. */
export async function loseLease(stub: DurableObjectStub<Ledger>) {
  await inLedger(
    stub,
    "UPDATE job SET state = json_set(state, '$.attempt.lease_until', 1, '$.attempt.excused', json('true'))",
  );
  await runDurableObjectAlarm(stub);
}

/** A job that a worker holds. */
export async function heldJob(more: Partial<Terms> = {}) {
  const job = await newJob(more);
  const [dispatch] = await inLedger(job.stub, 'SELECT id FROM dispatches');
  const { fence, attempt } = unwrap(await job.ledger.claim(worker1, String(dispatch?.id)));
  return { ...job, attempt, dispatch: String(dispatch?.id), by: { worker: worker1, fence } };
}
