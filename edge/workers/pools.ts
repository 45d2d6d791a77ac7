/** Pools of workers: each has a queue of its own for each lane, named in the configuration. */
import type { Lane } from '../../shared/contracts/lane.ts';
import type { Env } from '../environment.ts';

export const DEFAULT_POOL = 'default';

/** Bindings of a pool's queues; a pool with one queue has the lane `batch` alone. */
type Queues = { readonly batch: string; readonly interactive?: string };

let parsed: { text: string; pools: Readonly<Record<string, Queues>> } | null = null;

/** Names of the pools and of their queues' bindings. */
function poolsOf(env: Pick<Env, 'POOLS'>): Readonly<Record<string, Queues>> {
  if (parsed?.text !== env.POOLS) {
    const named = JSON.parse(env.POOLS) as Record<string, string | Queues>;
    const pools = Object.fromEntries(
      Object.entries(named).map(([name, queues]) => [name, typeof queues === 'string' ? { batch: queues } : queues]),
    );
    parsed = { text: env.POOLS, pools };
  }
  return parsed.pools;
}

export const poolNames = (env: Pick<Env, 'POOLS'>): string[] => Object.keys(poolsOf(env));

export const isPool = (env: Pick<Env, 'POOLS'>, pool: string): boolean => Object.hasOwn(poolsOf(env), pool);

/** The lanes that the pool has. */
export const lanesOf = (env: Pick<Env, 'POOLS'>, pool: string): Lane[] =>
  poolsOf(env)[pool]?.interactive === undefined ? ['batch'] : ['interactive', 'batch'];

/** Every line of jobs that there is. */
export const allLines = (env: Pick<Env, 'POOLS'>): { pool: string; lane: Lane }[] =>
  poolNames(env).flatMap((pool) => lanesOf(env, pool).map((lane) => ({ pool, lane })));

/** The queue of a pool's lane. Raises an Error that names the setting where there is none. */
export function queueOf(env: Env, { pool, lane }: { pool: string; lane: Lane }): Env['GPU_QUEUE'] {
  const binding = isPool(env, pool) ? poolsOf(env)[pool]?.[lane] : undefined;
  const queue = binding === undefined ? undefined : (env as unknown as Record<string, Env['GPU_QUEUE']>)[binding];
  if (!queue) {
    throw new Error(`POOLS names no bound queue for the lane ${lane} of the pool ${pool}`);
  }
  return queue;
}
