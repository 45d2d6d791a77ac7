/** What a completed job leaves behind becomes visible here, in one transaction. */
import type { ModelDescription } from '../../shared/contracts/model.ts';
import { vectorNameSchema } from '../../shared/contracts/vector.ts';
import type { InputUse } from '../../shared/jobs/contract.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { noteDeletions } from '../artefacts/deletions.ts';
import { artefactStatements } from '../artefacts/index-rows.ts';
import type { Env } from '../environment.ts';
import { modelStatements } from '../models/known-models.ts';
import { type NewResult, publishStatements } from '../published/index-rows.ts';
import { pointName } from '../vectors/names.ts';
import { deleteParams } from './params.ts';
import type { JobState, Outcome } from './state.ts';

/** An accepted completion: its blobs are promoted, its ids are fixed; running it twice gives the same rows. */
export type Completion = {
  outcome: Outcome;
  published: NewResult[];
  models: ModelDescription[];
};

export async function publishCompletion(env: Env, state: JobState, completion: Completion): Promise<void> {
  const now = Date.now();
  const of = { tenant: state.tenant, job: state.id, created: now };
  const statements = [
    ...artefactStatements(env, { ...of, artefacts: completion.outcome.artefacts, expires: now + state.retention_ms }),
    ...publishStatements(env, { ...of, published: completion.published }),
    ...modelStatements(env, state.tenant, completion.models, now),
    ...nameStatements(env, state.tenant, completion, now),
  ];
  if (statements.length > 0) {
    await env.DB.batch(statements);
  }
}

/** A job that was asked to publish its vector under a name says so in its result. */
function nameStatements(env: Env, tenant: string, completion: Completion, now: number): D1PreparedStatement[] {
  const { name, vector } = completion.outcome.result;
  const published = completion.published.find(({ id, manifest }) => id === vector && manifest.kind === 'vector');
  const valid = vectorNameSchema.safeParse(name);
  return published && valid.success ? [pointName(env, { tenant, name: valid.data, vector: published.id, now })] : [];
}

/** Deletes the params and lets the input artefacts expire: the next clean-up removes their bytes. */
export async function discardInputs(env: Env, state: JobState, inputs: readonly InputUse[]): Promise<void> {
  const artefacts = inputs.map(({ id }) => id).filter((id) => id.startsWith('art_'));
  await deleteParams(env, state.tenant, state.id);
  await env.DB.prepare(
    'UPDATE artefacts SET expires_at = 0 WHERE tenant = ? AND id IN (SELECT value FROM json_each(?))',
  )
    .bind(state.tenant, JSON.stringify(artefacts))
    .run();
}

/** Removes what only the job itself needed, here and on workers. */
export async function discardJob(env: Env, state: JobState): Promise<void> {
  await deleteParams(env, state.tenant, state.id);
  // workers may remember something of it, under the digest of its id
  await noteDeletions(env, JSON.stringify([await sha256Hex(state.id)]), Date.now()).run();
}
