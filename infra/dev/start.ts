/**
 * `npm start`: the whole service on one machine, then its main job. The edge and the queue gateway run in workerd with real
 * D1, KV, R2, queues and Durable Objects; GPU workers are processes of their own on the CPU.
 */
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Sextant } from '../../edge/client/index.ts';
import { takeDataFolder } from './data-lock.ts';
import { type EdgeProcess, startEdge } from './edge-process.ts';
import { apiKey, edgeSecrets, workerKey } from './keys.ts';
import { runPlanted } from './main-job/planted.ts';
import { runPretrained } from './main-job/pretrained.ts';
import { parseOptions, type StartOptions, USAGE } from './options.ts';
import { startWorker, type WorkerProcess } from './worker-process.ts';

const ROOT = join(import.meta.dirname, '../..');

class Stack {
  edge: EdgeProcess | null = null;
  readonly workers: WorkerProcess[] = [];
  #stopping: Promise<void> | null = null;
  #letGo: (() => void) | null = null;

  async start({ port, data, workers, model }: StartOptions): Promise<{ url: string; key: string }> {
    this.#letGo = takeDataFolder(data, port);
    await requireFreePort(port);
    const secrets = await edgeSecrets(data);
    mkdirSync(join(data, 'edge'), { recursive: true });
    const log = createWriteStream(join(data, 'edge', 'edge.log'), { flags: 'a' });
    this.edge = await startEdge(
      {
        port,
        data: join(data, 'edge'),
        vars: {
          SIGNING_KEYS: JSON.stringify({ keys: [secrets.signing] }),
          WEBHOOK_KEY: secrets.webhooks,
          WEBHOOK_ALLOW_LOOPBACK: '1',
          // shorter than in production: a killed worker or a lost message is noticed while one watches
          LEASE_MS: '10000',
          RESEND_MS: '5000',
        },
      },
      (text) => void log.write(text),
    );
    const { edge } = this;
    const key = await apiKey(data, edge);
    const models: Record<string, string> = model ? { [model.alias]: model.folder } : {};
    for (let n = 0; n < workers; n++) {
      const keyFile = await workerKey(data, edge, n);
      this.workers.push(await startWorker({ n, of: workers, data, edgeUrl: edge.url, keyFile, models }));
    }
    return { url: edge.url, key };
  }

  /** Stops every process that was started; may be called more than once. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      await Promise.all(this.workers.map((worker) => worker.stop()));
      await this.edge?.stop();
      this.#letGo?.();
    })();
    return this.#stopping;
  }
}

async function main(): Promise<void> {
  let options: StartOptions | null;
  try {
    options = parseOptions(process.argv.slice(2), ROOT);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  if (options === null) {
    console.log(USAGE);
    return;
  }
  const stack = new Stack();
  const fail = (what: string): void => {
    console.error(what);
    void stack.stop().then(() => process.exit(1));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      void stack.stop().then(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
  watchParent(() => void stack.stop().then(() => process.exit(143)));
  try {
    const { url, key } = await stack.start(options);
    stack.edge?.ended.then(() => fail(`the edge ended; see ${join(options.data, 'edge', 'edge.log')}`));
    console.log(`ready ${url} key=${key}`);
    if (!options.demo) {
      return;
    }
    const client = new Sextant({ url, key });
    const { model } = options;
    await (model ? runPretrained(client, model.alias, model.folder) : runPlanted(client));
    if (options.exit) {
      await stack.stop();
    } else {
      console.log(`The service goes on at ${url}; its contract is ${url}/openapi.json. Ctrl-C stops it.`);
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
    if (options.exit || !stack.edge) {
      await stack.stop();
    }
  }
}

/** Raises an Error where somebody listens at the port. */
async function requireFreePort(port: number): Promise<void> {
  const probe = createServer();
  const [outcome] = await Promise.race([
    once(probe.listen(port, '127.0.0.1'), 'listening').then(() => ['free']),
    once(probe, 'error') as Promise<[NodeJS.ErrnoException]>,
  ]);
  if (outcome !== 'free') {
    throw new Error(`port ${port} cannot be used (${(outcome as NodeJS.ErrnoException).code}); name another by --port`);
  }
  probe.close();
  await once(probe, 'close');
}

/** npm does not hand every signal on: where it started this and is gone, nobody is left to stop the rest. */
function watchParent(gone: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) {
    return;
  }
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) {
      clearInterval(timer);
      gone();
    }
  }, 500);
  timer.unref();
}

await main();
