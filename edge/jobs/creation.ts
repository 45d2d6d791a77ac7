/** Creates a job at most once per idempotency key: whatever is repeated, and whatever broke off in between. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { audited } from '../audit/log.ts';
import type { Env } from '../environment.ts';
import { beginOnce, whileHeld } from '../idempotency/once.ts';
import type { AccessKey } from '../keys/access-key.ts';
import { admit, termsOf } from './admission.ts';
import { ledgerOf } from './ledger-of.ts';
import { storeParams } from './params.ts';

/** The client follows the job, token by token where `followed`; it is canceled so long after everybody who did has gone. */
export type Following = { followed: boolean; abandon_ms: number };

/** `required`: a request without a key is refused; else it creates a job of its own. */
type CreationRequest = {
  idempotencyKey: string | undefined;
  required: boolean;
  path: string;
  /** The request's own bytes, by which a repeat is known. */
  raw: Uint8Array<ArrayBuffer>;
  /** As `POST /v1/jobs` takes it. */
  body: unknown;
  following?: Following | undefined;
  request_id: string;
  trace: string;
};

/** The id of the job, and whether it stood before. Raises `idempotency_key_missing`, and as `beginOnce` and `admit`. */
export async function createOnce(
  env: Env,
  key: AccessKey,
  { idempotencyKey, required, path, raw, body, following, request_id, trace }: CreationRequest,
): Promise<{ id: string; replayed: boolean }> {
  const placement = { body, run: null, following, request_id, trace };
  if (idempotencyKey === undefined && !required) {
    const id = randomId('job');
    await placeJob(env, key, { id, ...placement });
    return { id, replayed: false };
  }
  if (idempotencyKey === undefined) {
    throw new SextantError(
      'idempotency_key_missing',
      'send a header Idempotency-Key with a value of your own, such as a UUID, so that a repeat creates nothing new',
    );
  }
  const begun = await beginOnce(env, { tenant: key.tenant, idempotencyKey, method: 'POST', path, body: raw }, 'job');
  if (begun.answer) {
    return { id: begun.answer.location.split('/').at(-1) ?? '', replayed: true };
  }
  const { id, resumed, memory } = begun;
  const ledger = ledgerOf(env, id);
  const replayed = resumed && (await ledger.view(key.tenant)) !== null;
  if (!replayed) {
    try {
      await whileHeld(memory, () => placeJob(env, key, { id, ...placement }));
    } catch (error) {
      // What was refused may be corrected and sent again under the same key; what broke off keeps its id.
      await (error instanceof SextantError ? memory.abandon() : memory.release());
      throw error;
    }
  }
  await memory.finish({ status: 202, location: `/v1/jobs/${id}` });
  return { id, replayed };
}

/** `trace`: traceparent of what brings the job about. */
type Placement = {
  id: string;
  body: unknown;
  run: string | null;
  following?: Following | undefined;
  request_id: string | null;
  trace: string;
};

/** Creates the job of this id in the name of the key, for a run or for a request; again changes nothing. Raises as `admit`. */
export async function placeJob(
  env: Env,
  key: AccessKey,
  { id, body, run, following, request_id, trace }: Placement,
): Promise<void> {
  const admitted = await admit(env, key, body);
  if (admitted.dual) {
    await audited(env, { tenant: key.tenant, actor: key.id, action: 'refusal.use', target: id, request_id });
  }
  const params = await storeParams(env, key.tenant, id, admitted.params);
  const terms = { ...termsOf(id, key.tenant, admitted), key: key.id, run, trace };
  await ledgerOf(env, id).create({ ...terms, ...following }, params);
}
