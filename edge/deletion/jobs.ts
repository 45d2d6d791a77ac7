/** Deleting one job: its ledger, its row, its artefacts. What it published is deleted by itself. */
import { isTerminal } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { releaseBlobs } from '../artefacts/release.ts';
import type { Env } from '../environment.ts';
import { runOf } from '../inbound/runs/run-of.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';

/** Raises `not_found`, and `conflict` for a job that has not ended or that a run still waits for. */
export async function deleteJob(env: Env, tenant: string, id: string, now: number): Promise<void> {
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
  await deleteJobArtefacts(env, tenant, id, now);
  await ledger.erase(tenant);
}

async function deleteJobArtefacts(env: Env, tenant: string, job: string, now: number): Promise<void> {
  const [rows] = await env.DB.batch<{ sha256: string }>([
    env.DB.prepare('SELECT sha256 FROM artefacts WHERE tenant = ? AND job = ?').bind(tenant, job),
    env.DB.prepare(
      `DELETE FROM blob_uses WHERE tenant = ?1 AND holder IN (SELECT id FROM artefacts WHERE tenant = ?1 AND job = ?2)`,
    ).bind(tenant, job),
    env.DB.prepare('DELETE FROM artefacts WHERE tenant = ? AND job = ?').bind(tenant, job),
  ]);
  await releaseBlobs(
    env,
    tenant,
    (rows?.results ?? []).map(({ sha256 }) => sha256),
    now,
  );
}
