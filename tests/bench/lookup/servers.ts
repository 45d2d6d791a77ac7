/** The two Workers that are compared, each in a workerd of its own, on direct sockets: nothing stands before them. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Miniflare, type V4WorkerOptions } from 'miniflare';
import { freePort } from '../../support/free-port.ts';
import { jiffies, workerdOf } from './process.ts';

const root = join(import.meta.dirname, '../../..');
const COMPATIBILITY = { compatibilityDate: '2026-11-01', compatibilityFlags: ['nodejs_compat'] };

/** A bare Worker that answers 16 KB from memory: the floor. */
const BARE = `const bytes = new Uint8Array(16384).map((_, i) => i);
export default { fetch: () => new Response(bytes, { headers: { 'content-type': 'application/octet-stream' } }) };`;

export type Server = {
  miniflare: Miniflare;
  origin: string;
  pid: number;
  /** From the start of the process to its first answer, in ms. */
  cold_ms: number;
  /** CPU time up to the first answer, in ms. */
  cold_cpu_ms: number;
};

async function start(worker: V4WorkerOptions, path: string): Promise<Server> {
  const port = await freePort();
  const begun = performance.now();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...worker,
      ...COMPATIBILITY,
      cf: false,
      unsafeDirectSockets: [{ host: '127.0.0.1', port }],
    }),
  );
  await miniflare.ready;
  const origin = `http://127.0.0.1:${port}`;
  await (await fetch(`${origin}${path}`)).arrayBuffer();
  const cold_ms = performance.now() - begun;
  const pid = workerdOf(process.pid, port);
  return { miniflare, origin, pid, cold_ms, cold_cpu_ms: jiffies(pid) * 10 };
}

export const startBare = (): Promise<Server> =>
  start({ modules: [{ type: 'ESModule', path: 'bare.js', contents: BARE }], modulesRoot: '/' }, '/');

/** Bundles the edge as it is deployed; returns the script. */
export function bundle(folder: string): string {
  const wrangler = join(root, 'node_modules/wrangler/bin/wrangler.js');
  const made = spawnSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', folder], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, WRANGLER_HIDE_BANNER: 'true', WRANGLER_SEND_METRICS: 'false' },
  });
  if (made.status !== 0) {
    throw new Error(`wrangler could not bundle the edge:\n${made.stdout}${made.stderr}`);
  }
  return readFileSync(join(folder, 'index.js'), 'utf8');
}

export async function startEdge(script: string): Promise<Server> {
  const durableObjects = Object.fromEntries(
    [
      ['LEDGER', 'Ledger'],
      ['IDEMPOTENCY', 'Idempotency'],
      ['QUOTA', 'QuotaKeeper'],
    ].map(([binding, className]) => [binding, { className: className!, useSQLite: true }]),
  );
  const server = await start(
    {
      modules: [{ type: 'ESModule', path: 'index.js', contents: script }],
      modulesRoot: '/',
      d1Databases: ['DB'],
      kvNamespaces: ['KV'],
      r2Buckets: ['R2'],
      queueProducers: { GPU_QUEUE: 'bench' },
      durableObjects,
      bindings: { READS_PER_MINUTE: 6000, WRITES_PER_MINUTE: 600, JOBS_PER_MINUTE: 300 },
    },
    '/healthz',
  );
  const database = await server.miniflare.getD1Database('DB');
  const folder = join(root, 'edge/migrations');
  for (const file of readdirSync(folder).sort()) {
    const statements = readFileSync(join(folder, file), 'utf8')
      .replace(/--.*$/gm, '')
      .split(/;\s*\n/);
    for (const statement of statements) {
      if (statement.trim()) {
        await database.prepare(statement).run();
      }
    }
  }
  return server;
}
