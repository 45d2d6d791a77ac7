/** A whole stack for one test file: the real edge and gateway in workerd, real workers in processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';
import { INSERT_KEY, INSERT_WORKER, keyValues, mintKey, mintWorker, workerValues } from '../../../edge/keys/mint.ts';
import { type EdgeProcess, startEdge } from '../../../infra/dev/edge-process.ts';
import type { Job } from '../../../shared/contracts/job.ts';
import { SCOPES } from '../../../shared/contracts/scope.ts';
import type { SigningKey } from '../../../shared/signing/envelope.ts';
import { signWorkerCall } from '../../../shared/signing/worker-call.ts';
import { freePort } from '../../support/free-port.ts';
import { repositoryRoot } from '../../support/guide.ts';
import { newSigningKey } from '../../support/signing-key.ts';
import { until } from '../../support/until.ts';

export const LEASE_MS = 3000;
/** How long a job or a worker's event may take on a machine that does much beside. */
const PATIENCE_MS = 150_000;
/** So many messages can be on their way to a test that plays workers. */
const PLAYED_WORKERS = 4;
/** The bucket of `wrangler.toml`. */
const BUCKET = 'sextant';
export const QUEUES_TOKEN = 'development-queues-token';

export type WorkerOptions = {
  memory_limit_bytes?: number;
  stall_limit_s?: number;
  visibility_ms?: number;
  models?: Record<string, string>;
  corpora?: Record<string, string>;
  hubs?: Record<string, { endpoint: string }>;
  /** Modules preloaded into the worker's process. */
  preload?: string;
  environment?: Record<string, string>;
  poll_ms?: number;
  /** The worker ends by itself when nothing waits. */
  untilEmpty?: boolean;
  metrics?: { port: number };
  /** Where the worker finds the edge; the queue is asked directly. */
  edge_url?: string;
};

export class Worker {
  readonly id: string;
  readonly process: ChildProcess;
  /** What it logged so far. */
  readonly events: {
    event: string;
    at?: string;
    id?: string;
    reason?: string;
    attempt?: number;
    metrics_port?: number;
  }[] = [];
  /** The same as text. */
  log = '';

  constructor(id: string, process: ChildProcess) {
    this.id = id;
    this.process = process;
    let rest = '';
    process.stdout?.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('{')) {
          this.events.push(JSON.parse(line));
        }
      }
    });
  }

  async logged(event: string, id?: string): Promise<void> {
    await until(
      () => this.events.some((e) => e.event === event && (id === undefined || e.id === id)),
      `event ${event}`,
      PATIENCE_MS,
    );
  }

  count(event: string): number {
    return this.events.filter((e) => e.event === event).length;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) {
      return;
    }
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
  }
}

export class Stack {
  readonly data = mkdtempSync(join(tmpdir(), 'sextant-e2e-'));
  readonly workers: Worker[] = [];
  readonly #retries: number;
  readonly #resend_ms: number;
  readonly #vars: Record<string, string>;
  readonly #entry: string | undefined;
  edge!: EdgeProcess;
  /** What the edge printed. */
  edgeLog = '';
  /** The edge's keys; the first signs. */
  signingKeys: SigningKey[] = [];
  #port = 0;
  #key = '';
  #posts = 0;
  readonly #played: SigningKey[] = [];
  #announcedAt = 0;

  /** `retries`: deliveries of a message after the first, before it becomes a dead letter; `entry`: a module that wraps the edge's. */
  constructor({
    retries = 10,
    resend_ms = 1500,
    vars = {},
    entry,
  }: { retries?: number; resend_ms?: number; vars?: Record<string, string>; entry?: string } = {}) {
    this.#vars = vars;
    this.#entry = entry;
    this.#retries = retries;
    this.#resend_ms = resend_ms;
  }

  /** Starts the edge and makes a client key; workers are started by the tests. */
  async start(): Promise<this> {
    this.signingKeys = [await newSigningKey('edge-1')];
    this.#port = await freePort();
    await this.startEdge();
    const { text, row } = await mintKey({
      tenant: 'e2e',
      name: 'e2e',
      scopes: SCOPES,
      limits: { jobs: 100_000, reads: 100_000, writes: 100_000 },
      now: Date.now(),
    });
    await this.edge.execute(INSERT_KEY, keyValues(row));
    this.#key = text;
    return this;
  }

  /** Also after a stop: same port, same data. */
  async startEdge(): Promise<void> {
    this.edge = await startEdge(
      {
        port: this.#port,
        data: join(this.data, 'edge'),
        vars: {
          SIGNING_KEYS: JSON.stringify({ keys: this.signingKeys.map(({ jwk }) => jwk) }),
          LEASE_MS: String(LEASE_MS),
          RESEND_MS: String(this.#resend_ms),
          WEBHOOK_KEY: 'end-to-end',
          WEBHOOK_ALLOW_LOOPBACK: '1',
          ...this.#vars,
        },
        gatewayVars: { MAX_RETRIES: String(this.#retries) },
        ...(this.#entry ? { entry: this.#entry } : {}),
      },
      (text) => {
        this.edgeLog += text;
      },
    );
  }

  /** The client's API key. */
  get key(): string {
    return this.#key;
  }

  async startWorker(options: WorkerOptions = {}): Promise<Worker> {
    const { id, privateJwk, row } = await mintWorker({ pool: 'default', now: Date.now() });
    await this.edge.execute(INSERT_WORKER, workerValues(row));
    const folder = join(this.data, id);
    mkdirSync(folder);
    writeFileSync(join(folder, 'key.json'), JSON.stringify(privateJwk));
    const configuration = {
      edge_url: options.edge_url ?? this.edge.url,
      queue: {
        api_base: `${this.edge.url}/client/v4`,
        account: 'development',
        id: 'sextant-jobs',
        interactive_id: 'sextant-jobs-interactive',
        token: QUEUES_TOKEN,
        poll_ms: options.poll_ms ?? 100,
        visibility_ms: options.visibility_ms ?? 60_000,
      },
      key_file: 'key.json',
      data: '.',
      device: 'cpu',
      models: options.models ?? {},
      corpora: options.corpora ?? {},
      ...(options.metrics ? { metrics: options.metrics } : {}),
      ...(options.hubs ? { hubs: options.hubs } : {}),
      ...(options.stall_limit_s ? { stall_limit_s: options.stall_limit_s } : {}),
      ...(options.memory_limit_bytes ? { memory_limit_bytes: options.memory_limit_bytes } : {}),
    };
    writeFileSync(join(folder, 'worker.json'), JSON.stringify(configuration));
    const untilEmpty = options.untilEmpty ? ['--until-empty'] : [];
    const preload = options.preload ? ['--import', options.preload] : [];
    const entry = join(repositoryRoot, 'gpu-worker/worker/index.ts');
    const child = spawn(process.execPath, [...preload, entry, join(folder, 'worker.json'), ...untilEmpty], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...options.environment },
    });
    const worker = new Worker(id, child);
    this.workers.push(worker);
    const gone = once(child, 'exit').then(([status]) => {
      throw new Error(`the worker ended with ${status} before it was ready`);
    });
    gone.catch(() => {});
    await Promise.race([worker.logged('ready'), gone]);
    return worker;
  }

  /** Bytes on the disk of everything that the edge keeps, once it has stopped; what its databases had in journals is folded in. */
  stateBytes(): number {
    const files = () =>
      readdirSync(join(this.data, 'edge'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name));
    for (const file of files().filter((name) => name.endsWith('.sqlite'))) {
      const database = new DatabaseSync(file);
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
    }
    return files().reduce((sum, file) => sum + 512 * statSync(file).blocks, 0);
  }

  /** Keys of the tenant's objects in the bucket that contain this text. */
  async storedKeys(part: string): Promise<string[]> {
    const client = new AwsClient({
      accessKeyId: 'local',
      secretAccessKey: 'local-secret',
      service: 's3',
      region: 'auto',
    });
    const keys: string[] = [];
    for (let after = ''; ; after = keys.at(-1) ?? '') {
      const query = new URLSearchParams({ 'list-type': '2', prefix: 't/e2e/', ...(after && { 'start-after': after }) });
      const answer = await client.fetch(`${this.edge.url}/cdn-cgi/local/r2/s3/${BUCKET}?${query}`);
      const text = await answer.text();
      if (!answer.ok) {
        throw new Error(`${answer.status}: ${text}`);
      }
      keys.push(...[...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => String(key)));
      if (!text.includes('<IsTruncated>true')) {
        return keys.filter((key) => key.includes(part));
      }
    }
  }

  async stopWorkers(): Promise<void> {
    await Promise.all(this.workers.splice(0).map((worker) => worker.end('SIGKILL')));
  }

  async stop(): Promise<void> {
    await this.stopWorkers();
    await (this.edge as EdgeProcess | undefined)?.stop();
    rmSync(this.data, { recursive: true, force: true });
  }

  call(
    method: string,
    path: string,
    init: { body?: unknown; headers?: Record<string, string>; base?: string; signal?: AbortSignal } = {},
  ): Promise<Response> {
    return fetch(`${init.base ?? this.edge.url}${path}`, {
      method,
      ...(init.signal && { signal: init.signal }),
      headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json', ...init.headers },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
    });
  }

  /** Posts a body as it is. */
  raw(path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Response> {
    const authorization = `Bearer ${this.#key}`;
    return fetch(`${this.edge.url}${path}`, { method: 'POST', headers: { authorization, ...headers }, body });
  }

  /** Posts a `diagnostics.run` job and answers its id. */
  post(params: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Promise<string> {
    return this.postJob('diagnostics.run', { steps: 1, step_ms: 0, ...params }, more);
  }

  /** Posts a job of any type and answers its id. */
  async postJob(type: string, params: unknown, more: Record<string, unknown> = {}): Promise<string> {
    const answer = await this.call('POST', '/v1/jobs', {
      body: { type, params, ...more },
      headers: { 'idempotency-key': `e2e-${process.pid}-${++this.#posts}` },
    });
    if (answer.status !== 202) {
      throw new Error(`${answer.status}: ${await answer.text()}`);
    }
    return ((await answer.json()) as Job).id;
  }

  async job(id: string): Promise<Job> {
    const answer = await this.call('GET', `/v1/jobs/${id}`);
    if (!answer.ok) {
      throw new Error(`${answer.status}: ${await answer.text()}`);
    }
    return (await answer.json()) as Job;
  }

  /** The job once it has reached one of these statuses. */
  async reached(id: string, ...statuses: Job['status'][]): Promise<Job> {
    let job = await this.job(id);
    await until(
      async () => {
        job = await this.job(id);
        return statuses.includes(job.status);
      },
      `${id} to be ${statuses.join(' or ')}`,
      PATIENCE_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(job)}`);
    });
    return job;
  }

  ended(id: string): Promise<Job> {
    return this.reached(id, 'succeeded', 'failed', 'canceled');
  }

  /** Status frames of the job so far. */
  async statuses(id: string): Promise<{ status: string; attempt: number }[]> {
    const text = await (await this.call('GET', `/v1/jobs/${id}/events`)).text();
    return text
      .split('\n\n')
      .filter((frame) => frame.includes('event: status'))
      .map((frame) => JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? '{}'));
  }

  /** Progress frames of the job so far. */
  async progress(id: string): Promise<{ attempt: number; metrics: Record<string, number> }[]> {
    const text = await (await this.call('GET', `/v1/jobs/${id}/events`)).text();
    return text
      .split('\n\n')
      .filter((frame) => frame.includes('event: progress'))
      .map((frame) => JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? '{}'));
  }

  /** Announces workers that the test plays itself: no message comes without a worker that could take it. */
  async announcePlayed(): Promise<void> {
    while (this.#played.length < PLAYED_WORKERS) {
      const { id, privateJwk, row } = await mintWorker({ pool: 'default', now: Date.now() });
      await this.edge.execute(INSERT_WORKER, workerValues(row));
      this.#played.push({ kid: id, jwk: privateJwk });
    }
    const path = '/internal/workers/announce';
    const body = new TextEncoder().encode(JSON.stringify({ job: null }));
    for (const key of this.#played) {
      const authorization = await signWorkerCall(key, { method: 'POST', path, body, fence: null }, Date.now() / 1000);
      const answer = await fetch(`${this.edge.url}${path}`, { method: 'POST', headers: { authorization }, body });
      if (!answer.ok) {
        throw new Error(`${answer.status}: ${await answer.text()}`);
      }
      await answer.body?.cancel();
    }
  }

  /** Pulls from the queue as a worker would. */
  async pull(): Promise<{ lease_id: string; body: string; attempts: number }[]> {
    if (Date.now() - this.#announcedAt > 10_000) {
      this.#announcedAt = Date.now();
      await this.announcePlayed();
    }
    const answer = await this.gateway('pull', { batch_size: 100, visibility_timeout_ms: 60_000 });
    return (answer.result as { messages: { lease_id: string; body: string; attempts: number }[] }).messages;
  }

  /** As `pull`, once there is something to get. */
  async delivered(): Promise<{ lease_id: string; body: string; attempts: number }[]> {
    for (;;) {
      const messages = await this.pull();
      if (messages.length > 0) {
        return messages;
      }
      await sleep(50);
    }
  }

  /** The signed message of a job that waits, left in the queue; uses up a delivery of it. */
  async messageOf(id: string): Promise<string> {
    for (;;) {
      const messages = await this.delivered();
      await this.gateway('ack', { retries: messages.map(({ lease_id }) => ({ lease_id, delay_seconds: 0 })) });
      for (const { body } of messages) {
        const { jws } = JSON.parse(Buffer.from(body, 'base64').toString()) as { jws: string };
        if (JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()).sub === id) {
          return jws;
        }
      }
    }
  }

  get signingKey(): SigningKey {
    const [key] = this.signingKeys;
    if (!key) {
      throw new Error('the stack has not been started');
    }
    return key;
  }

  /** Puts a body of any kind onto the queue, as someone who can write to it. */
  async send(body: unknown): Promise<void> {
    await this.edge.enqueue(body);
  }

  async gateway(action: 'pull' | 'ack', body: unknown): Promise<{ success: boolean; result: unknown }> {
    const answer = await fetch(
      `${this.edge.url}/client/v4/accounts/development/queues/sextant-jobs/messages/${action}`,
      { method: 'POST', headers: { authorization: `Bearer ${QUEUES_TOKEN}` }, body: JSON.stringify(body) },
    );
    return answer.json() as Promise<{ success: boolean; result: unknown }>;
  }

  /**
   * What must hold of every job that succeeded: one completion, one set of artefacts, whole and fetchable, and no
   * computation left running.
   */
  async assertSingleCompletion(id: string): Promise<Job> {
    const job = await this.job(id);
    const statuses = (await this.statuses(id)).map((frame) => frame.status);
    const completions = statuses.filter((status) => status === 'succeeded').length;
    if (job.status !== 'succeeded' || completions !== 1 || statuses.at(-1) !== 'succeeded') {
      throw new Error(`${id} completed ${completions} times: ${statuses.join(', ')}`);
    }
    const rows = await this.edge.execute('SELECT id FROM artefacts WHERE job = ?', [id]);
    const listed = job.artefacts.map((artefact) => artefact.id).sort();
    if (JSON.stringify(rows.map((row) => row.id).sort()) !== JSON.stringify(listed)) {
      throw new Error(`${id} lists ${listed.length} artefacts, but ${rows.length} are stored`);
    }
    return job;
  }
}

/** Process ids whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        const stat = readFileSync(`/proc/${child}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    });
}

export const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
