/** Placeholder until the idempotency keys land. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../environment.ts';

export class Idempotency extends DurableObject<Env> {}
