/** The object of a run, with the types of its own methods: those of a remote stub lose untyped JSON. */
import type { Env } from '../../environment.ts';
import type { Run } from './run.ts';

type RunCalls = Pick<Run, 'begin' | 'view' | 'cancel' | 'jobEnded' | 'erase'> & {
  fetch(address: string, init: RequestInit): Promise<Response>;
};

export const runOf = (env: Env, id: string): RunCalls => env.RUN.getByName(id) as unknown as RunCalls;
