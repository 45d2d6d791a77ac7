/** Takes a job up again that a cap on device seconds had stopped: a new job with the same work and its checkpoint. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { derivedId } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';
import type { AccessKey } from '../keys/access-key.ts';
import { admit, termsOf } from './admission.ts';
import { unwrap } from './answer.ts';
import { ledgerOf } from './ledger-of.ts';
import { readParams, storeParams } from './params.ts';
import { noSuchJob } from './waiting.ts';

/**
 * Id of the job that goes on from where this one stopped; asking again answers the same one. It acts in the name of `key`,
 * and may take `max_cost` device seconds, as many as the one before unless named.
 * Raises `not_found`, `conflict` for a job that no cap stopped, and as `admit`.
 */
export async function resumeJob(
  env: Env,
  key: AccessKey,
  { stopped, max_cost, trace }: { stopped: string; max_cost: number | undefined; trace: string },
): Promise<string> {
  const ledger = ledgerOf(env, stopped);
  const found = unwrap(await ledger.resumable(key.tenant));
  if (!found) {
    throw noSuchJob(stopped);
  }
  const { state, params, checkpoint } = found;
  const id = await derivedId('job', ['resume', stopped]);
  if (state.resumed_by) {
    if ((await ledgerOf(env, id).view(key.tenant)) === null) {
      throw new SextantError('conflict', `the job was resumed as ${id}, which has been deleted`);
    }
    return id;
  }
  const given = 'inline' in params ? params.inline : await readParams(env, key.tenant, stopped);
  const cost = max_cost ?? state.max_cost_s;
  const body = {
    type: state.type,
    params: given,
    timeout_s: state.timeout_ms / 1000,
    queue_ttl_s: state.queue_ttl_ms / 1000,
    max_attempts: state.max_attempts,
    ...(state.pool === undefined ? {} : { pool: state.pool }),
    ...(state.webhook === null ? {} : { webhook: state.webhook }),
    ...(cost === undefined ? {} : { max_cost: cost }),
    labels: state.labels,
  };
  const admitted = await admit(env, key, body);
  const terms = { ...termsOf(id, key.tenant, admitted), key: key.id, run: null, trace, resumed_from: stopped };
  await ledgerOf(env, id).create(terms, await storeParams(env, key.tenant, id, admitted.params), checkpoint);
  await ledger.resumed(id);
  return id;
}
