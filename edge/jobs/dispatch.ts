/** Puts a job's signed message onto the queue. */
import { signMessage } from '../../shared/signing/message.ts';
import { nextSpan } from '../../shared/signing/traceparent.ts';
import type { Env } from '../environment.ts';
import { queueOf } from '../workers/pools.ts';
import { signingKeys } from '../workers/signing-keys.ts';
import { type JobState, lineOf } from './state.ts';
import type { StoredParams } from './store.ts';

/** Signs again for every send, so that a message of a long wait does not come close to its expiry. */
export async function sendDispatch(env: Env, state: JobState, params: StoredParams, now: number): Promise<void> {
  const [key] = signingKeys(env);
  const line = lineOf(state);
  const content = {
    sub: state.id,
    jti: state.dispatch.id,
    type: state.type,
    input_digest: state.input_digest,
    lane: line.lane,
    ...(state.trace ? { traceparent: nextSpan(state.trace) } : {}),
    ...('inline' in params ? { params: params.inline } : { params_ref: params.reference }),
  };
  const jws = await signMessage(key, content, now / 1000);
  await queueOf(env, line).send({ jws }, { contentType: 'json' });
}
