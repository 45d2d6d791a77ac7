/** A pool's dispatcher, with the types of its own methods: those of a remote stub lose untyped JSON. */
import type { Env } from '../../environment.ts';
import type { Place, PoolState } from './place.ts';
import type { Waiting } from './store.ts';

export type DispatcherCalls = {
  enqueue(...jobs: Waiting[]): Promise<void>;
  claimed(job: string, worker: string): Promise<void>;
  ended(job: string): Promise<void>;
  announce(worker: string, job: string | null): Promise<void>;
  leave(worker: string): Promise<void>;
  forget(tenant: string): Promise<void>;
  place(job: string): Promise<Place | null>;
  state(): Promise<PoolState>;
};

export const dispatcherOf = (env: Env, pool: string): DispatcherCalls =>
  env.DISPATCHER.getByName(pool) as unknown as DispatcherCalls;
