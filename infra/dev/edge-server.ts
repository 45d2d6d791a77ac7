/**
 * Entry of the process that serves the edge and the queue gateway in one local workerd: the same configuration files as
 * a deployment, with D1, KV, R2, queues and Durable Objects kept below the data folder. Started by `edge-process.ts`,
 * which sends the options, and ended when that process goes.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from 'miniflare';
import type { EdgeOptions, Executed, Request } from './edge-process.ts';
import { declaredWorker } from './worker-options.ts';

const ROOT = join(import.meta.dirname, '../..');
const HOUR_MS = 3_600_000;

/** A Worker as its configuration file declares it, bundled as a deployment bundles it. */
async function workerOf(configuration: string, vars: Record<string, string>, entry?: string): Promise<V4WorkerOptions> {
  const { workerOptions, main = '' } = await declaredWorker(join(ROOT, configuration));
  const bundle = buildSync({
    entryPoints: [entry ?? main],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'error',
  });
  const contents = bundle.outputFiles[0]?.text ?? '';
  const { rootPath: _root, modulesRules: _rules, ...rest } = workerOptions;
  return {
    ...rest,
    modules: [{ type: 'ESModule', path: 'index.js', contents }],
    modulesRoot: '/',
    bindings: { ...(workerOptions.bindings as Record<string, string>), ...vars },
  } as V4WorkerOptions;
}

/**
 * Applies the migrations that the database has not seen yet, in the table that wrangler keeps as well. A statement ends
 * with its line: a trigger, which has statements of its own inside, stands on one.
 */
async function migrate(miniflare: Miniflare): Promise<void> {
  const database = await miniflare.getD1Database('DB', 'sextant-edge');
  await database
    .prepare(
      `CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
         applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`,
    )
    .run();
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all<{ name: string }>();
  const applied = new Set(results.map((row) => row.name));
  const folder = join(ROOT, 'edge/migrations');
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith('.sql') || applied.has(name)) {
      continue;
    }
    const statements = readFileSync(join(folder, name), 'utf8')
      .replace(/--.*$/gm, '')
      .split(/;\s*\n/);
    const batch = statements.filter((sql) => sql.trim()).map((sql) => database.prepare(sql));
    await database.batch([...batch, database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name)]);
  }
}

async function serve({ port, data, vars, gatewayVars, entry }: EdgeOptions): Promise<Miniflare> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port,
      cf: false,
      log: new Log(LogLevel.WARN),
      resourcePersistencePath: join(data, 'state'),
      workers: [
        {
          ...(await workerOf('infra/dev/queue-gateway/wrangler.toml', gatewayVars ?? {})),
          name: 'sextant-queue-gateway',
        },
        {
          ...(await workerOf(
            'wrangler.toml',
            {
              S3_ENDPOINT: `http://127.0.0.1:${port}/cdn-cgi/local/r2/s3`,
              // the local bucket's own, as wrangler.toml has them for it; the others are made here unless they are given
              S3_ACCESS_KEY_ID: 'local',
              S3_SECRET_ACCESS_KEY: 'local-secret',
              SIGNING_KEYS: JSON.stringify({
                keys: [{ ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid: 'local' }],
              }),
              WEBHOOK_KEY: randomBytes(32).toString('hex'),
              PUBLIC_HOSTS: `127.0.0.1:${port},localhost:${port}`,
              ...vars,
            },
            entry,
          )),
          name: 'sextant-edge',
        },
      ],
    }),
  );
  await miniflare.ready;
  await migrate(miniflare);
  return miniflare;
}

/** Runs what a deployment's cron runs: now, for what became due while the service was off, and every hour. */
async function sweepHourly(miniflare: Miniflare): Promise<void> {
  const edge = (await miniflare.getWorker('sextant-edge')) as unknown as {
    scheduled(event: { cron: string; scheduledTime: Date }): Promise<unknown>;
  };
  const sweep = () =>
    edge
      .scheduled({ cron: 'hourly', scheduledTime: new Date() })
      .catch((error: unknown) => console.error(String(error)));
  setInterval(sweep, HOUR_MS).unref();
  void sweep();
}

// whoever asked for the service may be gone before it stands
const gone = (): void => process.exit(1);
process.once('disconnect', gone);
process.once('message', async (options: EdgeOptions) => {
  const miniflare = await serve(options);
  process.off('disconnect', gone);
  const end = (): void => void miniflare.dispose().finally(() => process.exit(0));
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect']) {
    process.once(signal, end);
  }
  await sweepHourly(miniflare);
  const database = await miniflare.getD1Database('DB', 'sextant-edge');
  const queue = await miniflare.getQueueProducer('GPU_QUEUE', 'sextant-edge');
  const answer = async (request: Request): Promise<Executed> => {
    const { call } = request;
    if ('enqueue' in request) {
      await queue.send(request.enqueue, { contentType: 'json' });
      return { call };
    }
    const { results } = await database
      .prepare(request.sql)
      .bind(...request.values)
      .all();
    return { call, rows: results };
  };
  process.on('message', (request: Request) => {
    answer(request)
      .catch((error: unknown): Executed => ({ call: request.call, error: String(error) }))
      .then((answered) => process.send?.(answered));
  });
  process.send?.({ ready: true });
});
