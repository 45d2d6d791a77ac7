/** The end of what a job leaves in its ledger and around it: the inputs of jobs on people's data first, then all of it. */
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import type { Env } from '../environment.ts';
import type { LedgerOutputs } from './outputs.ts';
import { readParams } from './params.ts';
import { unindexJob } from './projection.ts';
import { discardInputs, discardJob } from './publish.ts';
import type { JobState } from './state.ts';
import type { LedgerStore } from './store.ts';

/** Deletes what a job on people's data was given. */
export async function purgeInputs(env: Env, store: LedgerStore, state: JobState): Promise<void> {
  const params = store.params();
  const given = 'inline' in params ? params.inline : await readParams(env, state.tenant, state.id);
  await discardInputs(env, state, JOB_CONTRACTS[state.type]?.inputs(given) ?? []);
  store.dropParams();
  store.save({ ...(store.load() ?? state), purged: true }, false);
}

/** Lets go of everything around the job; its own storage is left to the object. */
export async function forgetJob(env: Env, store: LedgerStore, outputs: LedgerOutputs, state: JobState): Promise<void> {
  store.dropCheckpoint();
  await outputs.hold();
  await unindexJob(env.DB, state.id);
  await discardJob(env, state);
  store.forget();
}
