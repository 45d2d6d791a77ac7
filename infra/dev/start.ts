/**
 * `npm start`: the whole service on one machine, then its main job. The edge and the queue gateway run in workerd with real
 * D1, KV, R2, queues and Durable Objects; GPU workers are processes of their own on the CPU.
 */
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from './client.ts';
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

  async start({ port, data, workers, model }: StartOptions): Promise<{ url: string; key: string }> {
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
    })();
    return this.#stopping;
  }
}

async function main(): Promise<void> {
  let options: StartOptions;
  try {
    options = parseOptions(process.argv.slice(2), ROOT);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const stack = new Stack();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      void stack.stop().then(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
  try {
    const { url, key } = await stack.start(options);
    console.log(`ready ${url} key=${key}`);
    if (!options.demo) {
      return;
    }
    const client = new Client(url, key);
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

await main();
