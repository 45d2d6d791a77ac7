/** Pieces of route declarations for requests that take an `Idempotency-Key`. */
import { z } from '@hono/zod-openapi';
import type { ProblemCode } from '../../shared/contracts/problem.ts';
import type { Scope } from '../../shared/contracts/scope.ts';
import { access } from '../http/access.ts';
import { jsonBody } from '../http/body.ts';
import type { KeyPolicy } from '../keys/access-key.ts';
import { idempotent } from './middleware.ts';

/** A route with a JSON body that creates something at once: repeats under one Idempotency-Key create nothing new. */
export const keyedOnce = (scope: Scope, policy: KeyPolicy = 'writes') => ({
  security: [{ bearer: [scope] }],
  middleware: [access(scope, policy), jsonBody(), idempotent],
});
export const idempotencyHeader = z.object({
  'idempotency-key': z.string().max(255).optional().describe('a repeat creates nothing new; kept for 24 h'),
});
/** Problems of an Idempotency-Key. */
export const ONCE: readonly ProblemCode[] = ['idempotency_in_flight', 'idempotency_key_reused'];
