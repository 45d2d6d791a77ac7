/** Deleting one job: its ledger, its row, its artefacts. What it published is deleted by itself. */
import { isTerminal } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { discardStaging } from '../artefacts/clean-up.ts';
import { releaseBlobs } from '../artefacts/release.ts';
import { type AuditEvent, audited } from '../audit/log.ts';
import type { Env } from '../environment.ts';
import { runOf } from '../inbound/runs/run-of.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { addressQueueName, deliveryQueueOf } from '../webhooks/queue-of.ts';

/** Raises `not_found`, and `conflict` for a job that has not ended or that a run still waits for. */
export async function deleteJob(env: Env, event: AuditEvent, now: number): Promise<void> {
  const { tenant, target: id } = event;
  const ledger = ledgerOf(env, id);
  const job = await ledger.view(tenant);
  if (!job) {
    throw new SextantError('not_found', `there is no job ${id}`);
  }
  if (!isTerminal(job.status)) {
    throw new SextantError('conflict', `the job is ${job.status}; cancel it first`);
  }
  const run = job.labels.run ? await runOf(env, job.labels.run).view(tenant) : null;
  if (run?.status === 'running' && run.steps.some(({ jobs }) => jobs.some((one) => one.id === id))) {
    throw new SextantError('conflict', `the run ${run.id} uses the job`, {
      errors: [{ pointer: '', code: 'in_use', detail: run.id }],
    });
  }
  const address = await ledger.webhookOf(tenant);
  const digests = await deleteRows(env, event);
  await releaseBlobs(env, tenant, digests, now);
  await discardStaging(env, tenant, id);
  if (address) {
    await deliveryQueueOf(env, await addressQueueName(tenant, address)).forgetSubject(id);
  }
  await ledger.erase(tenant);
}

/** The job's artefacts, gone together with the note of it; answers their digests. */
async function deleteRows(env: Env, event: AuditEvent): Promise<string[]> {
  const { tenant, target: job } = event;
  const [rows] = await audited(env, event, [
    env.DB.prepare('SELECT sha256 FROM artefacts WHERE tenant = ? AND job = ?').bind(tenant, job),
    env.DB.prepare(
      `DELETE FROM blob_uses WHERE tenant = ?1 AND holder IN (SELECT id FROM artefacts WHERE tenant = ?1 AND job = ?2)`,
    ).bind(tenant, job),
    env.DB.prepare('DELETE FROM artefacts WHERE tenant = ? AND job = ?').bind(tenant, job),
  ]);
  return ((rows?.results ?? []) as { sha256: string }[]).map(({ sha256 }) => sha256);
}
