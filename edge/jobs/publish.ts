/** What a completed job leaves behind becomes visible here, in one transaction. */
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { Manifest } from '../../shared/contracts/thing.ts';
import { artefactStatements } from '../artefacts/index-rows.ts';
import type { PromotedArtefact } from '../artefacts/promotion.ts';
import type { Env } from '../environment.ts';
import { deleteParams } from './params.ts';
import type { JobState, Outcome } from './state.ts';

/** An accepted completion: its blobs are promoted, its ids are fixed; running it twice gives the same rows. */
export type Completion = {
  outcome: Outcome;
  artefacts: PromotedArtefact[];
  things: { id: string; manifest: Manifest }[];
  models: ModelDescription[];
};

export async function publishCompletion(env: Env, state: JobState, completion: Completion): Promise<void> {
  const now = Date.now();
  const statements = artefactStatements(env, {
    tenant: state.tenant,
    job: state.id,
    artefacts: completion.artefacts,
    created: now,
    expires: now + state.retention_ms,
  });
  if (statements.length > 0) await env.DB.batch(statements);
}

/** Removes what only the job itself needed. */
export const discardJob = (env: Env, state: JobState): Promise<void> => deleteParams(env, state.tenant, state.id);
