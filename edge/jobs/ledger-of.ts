/** The ledger object of a job, with the types of its own methods: those of a remote stub lose untyped JSON. */
import type { Env } from '../environment.ts';
import type { Ledger } from './ledger.ts';

type LedgerCalls = Pick<
  Ledger,
  | 'create'
  | 'view'
  | 'wait'
  | 'cancel'
  | 'given'
  | 'webhookOf'
  | 'claim'
  | 'heartbeat'
  | 'held'
  | 'tokens'
  | 'checkpoint'
  | 'complete'
  | 'fail'
  | 'release'
  | 'deadLetter'
  | 'dispatch'
  | 'erase'
  | 'resumable'
  | 'resumed'
> & { fetch(address: string, init: RequestInit): Promise<Response> };

export const ledgerOf = (env: Env, job: string): LedgerCalls => env.LEDGER.getByName(job) as unknown as LedgerCalls;
