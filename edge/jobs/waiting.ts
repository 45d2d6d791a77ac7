/** A job as its tenant sees it, now or as soon as it has ended. */
import type { Job } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Env } from '../environment.ts';
import { ledgerOf } from './ledger-of.ts';

export const noSuchJob = (id: string): SextantError => new SextantError('not_found', `there is no job ${id}`);

/** @param wait seconds to wait for the end, null: not at all. @throws SextantError `not_found` */
export async function viewJob(env: Env, tenant: string, id: string, wait: number | null): Promise<Job> {
  const ledger = ledgerOf(env, id);
  const job = await (wait ? ledger.wait(tenant, wait * 1000) : ledger.view(tenant));
  if (!job) {
    throw noSuchJob(id);
  }
  return job;
}
