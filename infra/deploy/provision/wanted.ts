/** What a deployment needs in its account, as its configuration file (`wrangler.toml`) and the service name it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Wanted = {
  script: string;
  /** Queues that workers pull from, each with the queue of its dead letters. */
  pulled: readonly { queue: string; dead: string }[];
  /** Every queue, those of dead letters first: a consumer names one that is there. */
  queues: readonly string[];
  bucket: string;
  database: string;
  namespace: string;
  migrations: readonly { name: string; sql: string }[];
};

/** What this reads of a Worker's configuration. */
export type Declared = {
  name?: string | undefined;
  kv_namespaces: readonly { binding: string }[];
  r2_buckets: readonly { bucket_name?: string | undefined }[];
  d1_databases: readonly { database_name?: string | undefined; migrations_dir?: string | undefined }[];
  queues: {
    producers?: readonly { binding: string; queue: string }[] | undefined;
    consumers?: readonly { queue: string }[] | undefined;
  };
  vars: Readonly<Record<string, unknown>>;
};

/** Lanes of each pool, by the bindings of their queues; a text is the lane `batch` alone. */
type Pools = Record<string, string | Record<string, string>>;

/** @throws Error where a pool names a binding without a queue, or something is declared twice or not at all */
export function wantedBy(declared: Declared, root: string): Wanted {
  const producers = new Map((declared.queues.producers ?? []).map(({ binding, queue }) => [binding, queue]));
  const [dead] = declared.queues.consumers ?? [];
  const bucket = declared.r2_buckets[0]?.bucket_name;
  const [database] = declared.d1_databases;
  if (!declared.name || !dead || !bucket || !database?.database_name) {
    throw new Error('wrangler.toml names the Worker, a consumer of dead letters, a bucket and a database');
  }
  const pools = JSON.parse(String(declared.vars.POOLS)) as Pools;
  const bindings = Object.values(pools).flatMap((lanes) =>
    typeof lanes === 'string' ? [lanes] : Object.values(lanes),
  );
  const pulled = [...new Set(bindings)].map((binding) => {
    const queue = producers.get(binding);
    if (queue === undefined) {
      throw new Error(`POOLS names the binding ${binding}, for which wrangler.toml has no queue`);
    }
    return { queue, dead: dead.queue };
  });
  const folder = join(root, database.migrations_dir ?? 'migrations');
  const files = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  return {
    script: declared.name,
    pulled,
    queues: [dead.queue, ...pulled.map(({ queue }) => queue)],
    bucket,
    database: database.database_name,
    namespace: `${declared.name}-${declared.kv_namespaces[0]?.binding.toLowerCase() ?? 'kv'}`,
    migrations: files.sort().map((name) => ({ name, sql: readFileSync(join(folder, name), 'utf8') })),
  };
}
