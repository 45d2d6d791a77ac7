/** What every request with an `Idempotency-Key` passes: the first goes on, a repeat gets the first one's answer. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';
import { type FirstAnswer, fingerprintOf, idempotencyOf, type RememberedKey } from './keys.ts';

type KeyedRequest = {
  tenant: string;
  idempotencyKey: string;
  method: string;
  /** With the query. */
  path: string;
  body: Uint8Array<ArrayBuffer>;
};
/** `answer` of a request that was answered before; else `memory`, which is told how this one ends. */
type Begun = { answer: FirstAnswer } | { answer: null; memory: RememberedKey; id: string; resumed: boolean };

/** How often a request at work says that it is. */
const HOLD_MS = 1000;

/** Does the work of a request, keeping its place meanwhile: a repeat waits for it only as long as it lives. */
export async function whileHeld<T>(memory: RememberedKey, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => void memory.hold().catch(() => undefined), HOLD_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/**
 * Begins a request under its key. `prefix` is that of the id which the work will have, the same in every repeat that
 * resumes it. Raises `parameter_invalid`, `idempotency_in_flight`, `idempotency_key_reused`.
 */
export async function beginOnce(env: Env, request: KeyedRequest, prefix: 'job' | 'evt'): Promise<Begun> {
  if (!/^[\x21-\x7e]{1,255}$/.test(request.idempotencyKey)) {
    throw new SextantError('parameter_invalid', 'an Idempotency-Key has 1 to 255 printable characters');
  }
  const memory = await idempotencyOf(env, request.tenant, request.idempotencyKey);
  const fingerprint = await fingerprintOf(request, request.tenant, request.body);
  const admission = await memory.begin(fingerprint, randomId(prefix));
  switch (admission.state) {
    case 'in_flight':
      throw new SextantError('idempotency_in_flight', 'the first request with this key has not been answered yet', {
        retryAfterS: 1,
      });
    case 'reused':
      throw new SextantError(
        'idempotency_key_reused',
        'this key was used with another request; take a new key for new work',
      );
    case 'answered':
      return { answer: admission.answer };
    case 'new':
      return { answer: null, memory, id: admission.id, resumed: admission.resumed };
    default:
      return admission satisfies never;
  }
}
