/** Pools of workers: each has a queue of its own, named in the configuration. */
import type { Env } from '../environment.ts';

export const DEFAULT_POOL = 'default';

let parsed: { text: string; pools: Readonly<Record<string, string>> } | null = null;

/** Names of the pools and of their queues' bindings. */
export function poolsOf(env: Pick<Env, 'POOLS'>): Readonly<Record<string, string>> {
  if (parsed?.text !== env.POOLS) {
    parsed = { text: env.POOLS, pools: JSON.parse(env.POOLS) as Record<string, string> };
  }
  return parsed.pools;
}

export const isPool = (env: Pick<Env, 'POOLS'>, pool: string): boolean => Object.hasOwn(poolsOf(env), pool);

/** The pool's queue. Raises an Error that names the setting where the pool has none. */
export function queueOf(env: Env, pool: string): Env['GPU_QUEUE'] {
  const binding = isPool(env, pool) ? poolsOf(env)[pool] : undefined;
  const queue = binding === undefined ? undefined : (env as unknown as Record<string, Env['GPU_QUEUE']>)[binding];
  if (!queue) {
    throw new Error(`POOLS names no bound queue for the pool ${pool}`);
  }
  return queue;
}
