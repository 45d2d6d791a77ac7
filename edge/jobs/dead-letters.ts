/**
 * The dead-letter queue's consumer. What lies there is untrusted: anyone who can write to the queue may have put it there,
 * so a letter counts only where its signature verifies, and then it is the ledger that decides.
 */

import { SextantError } from '../../shared/contracts/problem.ts';
import { queueBodySchema } from '../../shared/contracts/worker-call.ts';
import type { Env } from '../environment.ts';
import { log } from '../log.ts';
import { openOwnMessage } from '../workers/message-check.ts';
import { ledgerOf } from './ledger-of.ts';

export async function consumeDeadLetters(batch: MessageBatch<unknown>, env: Env): Promise<void> {
  for (const letter of batch.messages) {
    const body = queueBodySchema.safeParse(letter.body);
    if (!body.success) {
      log.warn('a dead letter is no message of ours', { letter: letter.id });
      letter.ack();
      continue;
    }
    try {
      const { sub, jti } = await openOwnMessage(env, body.data.jws);
      await ledgerOf(env, sub).deadLetter(jti);
      letter.ack();
    } catch (error) {
      if (error instanceof SextantError) {
        log.warn('a dead letter is refused', { letter: letter.id, code: error.code, reason: error.message });
        letter.ack();
      } else {
        letter.retry({ delaySeconds: 30 });
      }
    }
  }
}
