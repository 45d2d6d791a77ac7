/** Whether a message is one that this edge signed for this job and dispatch. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Message } from '../../shared/contracts/worker-call.ts';
import { fixedKeys } from '../../shared/signing/key-set.ts';
import { openMessage } from '../../shared/signing/message.ts';
import type { Env } from '../environment.ts';
import { publishedKeys } from './signing-keys.ts';

/** Raises as `openEnvelope`. */
export const openOwnMessage = (env: Env, jws: string): Promise<Message> =>
  openMessage(jws, fixedKeys(publishedKeys(env)), Date.now() / 1000);

/**
 * Raises `dispatch_unknown` for a message of another job or dispatch, and for one that this edge did not sign: refusals
 * of a signature speak of the caller's own.
 */
export async function checkMessage(env: Env, jws: string, of: { job: string; dispatch: string }): Promise<void> {
  const message = await openOwnMessage(env, jws).catch((cause: unknown) => {
    throw new SextantError('dispatch_unknown', `the message is not valid here: ${String(cause)}`, { cause });
  });
  if (message.sub !== of.job || message.jti !== of.dispatch) {
    throw new SextantError('dispatch_unknown', 'the message belongs to another job or dispatch');
  }
}
