/** Creates a job at most once per idempotency key: whatever is repeated, and whatever broke off in between. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { audited } from '../audit/log.ts';
import type { Env } from '../environment.ts';
import { fingerprintOf, idempotencyOf } from '../idempotency/keys.ts';
import type { AccessKey } from '../keys/access-key.ts';
import { admit, termsOf } from './admission.ts';
import { ledgerOf } from './ledger-of.ts';
import { storeParams } from './params.ts';

type CreationRequest = {
  idempotencyKey: string | undefined;
  path: string;
  raw: Uint8Array<ArrayBuffer>;
  request_id: string;
};

/**
 * The id of the job, and whether it stood before. Raises `idempotency_key_missing`, `idempotency_in_flight`,
 * `idempotency_key_reused`, and as `admit`.
 */
export async function createOnce(
  env: Env,
  key: AccessKey,
  { idempotencyKey, path, raw, request_id }: CreationRequest,
): Promise<{ id: string; replayed: boolean }> {
  const memory = await idempotencyOf(env, key.tenant, checkedKey(idempotencyKey));
  const fingerprint = await fingerprintOf({ method: 'POST', path }, key.tenant, raw);
  const admission = await memory.begin(fingerprint, randomId('job'));
  if (admission.state === 'in_flight')
    throw new SextantError('idempotency_in_flight', 'the first request with this key has not been answered yet', {
      headers: { 'retry-after': '1' },
    });
  if (admission.state === 'reused')
    throw new SextantError(
      'idempotency_key_reused',
      'this key was used with another body; take a new key for new work',
    );
  if (admission.state === 'answered') return { id: admission.answer.location.split('/').at(-1) ?? '', replayed: true };
  const { id, resumed } = admission;
  const ledger = ledgerOf(env, id);
  const replayed = resumed && (await ledger.view(key.tenant)) !== null;
  if (!replayed) {
    try {
      const admitted = await admit(env, key, JSON.parse(new TextDecoder().decode(raw)));
      if (admitted.contract.scope === 'directions:refusal')
        await audited(env, { tenant: key.tenant, actor: key.id, action: 'refusal.use', target: id, request_id });
      await ledger.create(termsOf(id, key.tenant, admitted), await storeParams(env, key.tenant, id, admitted.params));
    } catch (error) {
      // What was refused may be corrected and sent again under the same key; what broke off keeps its id.
      if (error instanceof SextantError) await memory.abandon();
      throw error;
    }
  }
  await memory.finish({ status: 202, location: `/v1/jobs/${id}` });
  return { id, replayed };
}

function checkedKey(presented: string | undefined): string {
  if (presented === undefined)
    throw new SextantError(
      'idempotency_key_missing',
      'send a header Idempotency-Key with a value of your own, such as a UUID, so that a repeat creates nothing new',
    );
  if (!/^[\x21-\x7e]{1,255}$/.test(presented))
    throw new SextantError('parameter_invalid', 'an Idempotency-Key has 1 to 255 printable characters');
  return presented;
}
