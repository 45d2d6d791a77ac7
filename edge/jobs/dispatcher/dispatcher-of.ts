/** The dispatcher of a pool's lane, with the types of its own methods: those of a remote stub lose untyped JSON. */
import type { Lane } from '../../../shared/contracts/lane.ts';
import type { Env } from '../../environment.ts';
import type { Place, PoolState } from './place.ts';
import type { Waiting } from './store.ts';

export type DispatcherCalls = {
  enqueue(...jobs: Waiting[]): Promise<void>;
  claimed(job: string, worker: string, memory_bytes?: number): Promise<void>;
  ended(job: string): Promise<void>;
  announce(worker: string, job: string | null): Promise<void>;
  largestMemory(): Promise<number>;
  leave(worker: string): Promise<void>;
  forget(tenant: string): Promise<void>;
  place(job: string): Promise<Place | null>;
  state(): Promise<PoolState>;
  fetch(address: string, init: RequestInit): Promise<Response>;
};

/** Each lane has a line of its own: 20,000 waiting trainings slow no interactive job. */
export const dispatcherOf = (env: Env, { pool, lane }: { pool: string; lane: Lane }): DispatcherCalls =>
  env.DISPATCHER.getByName(lane === 'batch' ? pool : `${pool}${INTERACTIVE}`) as unknown as DispatcherCalls;

const INTERACTIVE = '/interactive' satisfies `/${Lane}`;
/** Whether an object of this name serves a lane interactive. */
export const isInteractive = (name: string | undefined): boolean => name?.endsWith(INTERACTIVE) ?? false;
