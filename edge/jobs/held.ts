/** What the ledger tells those around it of an attempt: when it is claimed, and while it holds the job. */
import type { Checkpoint } from '../../shared/contracts/worker-call.ts';
import type { JobState } from './state.ts';
import type { StoredParams } from './store.ts';

/** An attempt that has just been claimed, with all that its worker needs. */
export type Claimed = {
  fence: string;
  attempt: number;
  lease_ms: number;
  remaining_s: number;
  tenant: string;
  type: string;
  params: StoredParams;
  /** Its client follows it token by token. */
  followed: boolean;
  checkpoint: Checkpoint | null;
};
/** An attempt that holds its job, as the routes around uploads need it; `sealed` once its completion was accepted. */
export type Held = { tenant: string; attempt: number; type: string; input_digest: string; sealed: boolean };
/** A job that a cap stopped, with what another needs to go on from there. */
export type Resumable = { state: JobState; params: StoredParams; checkpoint: Checkpoint | null };
