/**
 * A worker's call to the edge, signed over method, path, body and fencing token, so that neither can be moved to another
 * job or attempt.
 */
import { SextantError } from '../contracts/problem.ts';
import {
  EDGE_ISSUER,
  WORKER_CALL_LIFE_S,
  WORKER_TYP,
  type WorkerCall,
  workerCallSchema,
} from '../contracts/worker-call.ts';
import { base32, sha256Hex } from './digest.ts';
import { openEnvelope, type SigningKey, signEnvelope } from './envelope.ts';
import type { KeySource } from './key-set.ts';

/** Scheme of the `Authorization` header that carries the signature. */
const WORKER_SCHEME = 'Sextant';

/** Who makes a worker's call: the registered worker, and the fencing token it presents. */
export type Caller = { worker: string; fence: string | null };
type CallParts = { method: string; path: string; body: Uint8Array<ArrayBuffer>; fence: string | null };

/** Value of the `Authorization` header; `key.kid` is the worker's id. */
export async function signWorkerCall(key: SigningKey, call: CallParts, now_s: number): Promise<string> {
  const iat = Math.floor(now_s);
  const claims: WorkerCall = {
    iss: key.kid,
    aud: EDGE_ISSUER,
    iat,
    exp: iat + WORKER_CALL_LIFE_S,
    jti: base32(crypto.getRandomValues(new Uint8Array(16))),
    method: call.method,
    path: call.path,
    digest: await sha256Hex(call.body),
    fence: call.fence,
  };
  return `${WORKER_SCHEME} ${await signEnvelope(key, WORKER_TYP, claims)}`;
}

/**
 * Checks the header against the request as it arrived and returns the worker's id and the fencing token it presents.
 * The worker is its own issuer, so `workers` is looked up by worker id. Raises `signature_invalid` or `clock_skew`.
 */
export async function openWorkerCall(
  authorization: string | null,
  call: Omit<CallParts, 'fence'>,
  workers: KeySource,
  now_s: number,
): Promise<Caller> {
  const jws = authorization?.startsWith(`${WORKER_SCHEME} `) ? authorization.slice(WORKER_SCHEME.length + 1) : '';
  const keysOf = (issuer: string) => (issuer.startsWith('wkr_') ? workers : null);
  const { claims, kid } = await openEnvelope(jws, { typ: WORKER_TYP, keysOf, schema: workerCallSchema, now_s });
  const wrong =
    claims.iss !== kid
      ? 'the issuer is not the owner of the key'
      : claims.method !== call.method
        ? 'the method differs'
        : claims.path !== call.path
          ? 'the path differs'
          : claims.digest !== (await sha256Hex(call.body))
            ? 'the body differs'
            : claims.exp - claims.iat > WORKER_CALL_LIFE_S
              ? 'the time of life is too long'
              : null;
  if (wrong) {
    throw new SextantError('signature_invalid', `not what the worker signed: ${wrong}`);
  }
  return { worker: claims.iss, fence: claims.fence };
}
