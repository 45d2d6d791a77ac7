/** Placeholder until the ledger lands. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../environment.ts';

export class Ledger extends DurableObject<Env> {}
