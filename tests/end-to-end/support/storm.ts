/**
 * A storm over a whole stack: jobs of many kinds while lines refuse, lose, cut and fail, and every part is killed in turn.
 * Everything is drawn from the seed but the moments at which processes meet.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../../../shared/contracts/job.ts';
import { RandomStream } from '../../../shared/math/random.ts';
import { until } from '../../support/until.ts';
import { childrenOf, isAlive, type Stack, type Worker } from './stack.ts';
import type { Asked, TroubledLine } from './troubled-line.ts';

export type StormOptions = { seed: number; jobs: number; workers: number; every_ms: number };
type Fate = 'succeeded' | 'failed' | 'canceled';
type Planned = { key: string; fate: Fate; params: Record<string, unknown>; id: string | null };
export type StormReport = {
  seed: number;
  jobs: number;
  succeeded: number;
  failed: number;
  canceled: number;
  attempts: number;
  most_attempts: number;
  answers_refused: number;
  answers_lost: number;
  answers_cut: number;
  answers_500: number;
  kills: Record<string, number>;
  seconds: number;
  /** Everything that was not as it has to be; empty after a storm that was weathered. */
  wrong: string[];
};

const TROUBLED_SHARE = 0.12;
const TROUBLES = ['refuse', 'lost', 'cut', '500'] as const;
const LANES = 6;

export class Storm {
  readonly #stack: Stack;
  readonly #lines: { client: TroubledLine; worker: TroubledLine };
  readonly #options: StormOptions;
  readonly #draws: RandomStream;
  readonly #planned: Planned[];
  readonly #kills: Record<string, number> = {};
  #drawn = 0;
  #calm = false;
  /** What went wrong with the storm itself. */
  readonly #broken: string[] = [];

  constructor(stack: Stack, lines: { client: TroubledLine; worker: TroubledLine }, options: StormOptions) {
    this.#stack = stack;
    this.#lines = lines;
    this.#options = options;
    this.#draws = new RandomStream(options.seed, 'storm');
    this.#planned = Array.from({ length: options.jobs }, (_, n) => this.#plan(n));
    for (const line of Object.values(lines)) {
      line.trouble = (asked) => this.#trouble(asked);
    }
  }

  /** Runs to the end of every job, and looks whether all of it is right. */
  async run(): Promise<StormReport> {
    const { workers } = this.#options;
    const began = performance.now();
    for (let n = 0; n < workers; n += 1) {
      await this.#startWorker();
    }
    const blowing = this.#blow();
    await this.#postAll();
    await this.#ended(0.9);
    this.#calm = true;
    await blowing;
    await this.#ended(1);
    return this.#reconcile(performance.now() - began);
  }

  #draw(): number {
    const word = new Uint32Array(1);
    this.#draws.fillWords(word, this.#drawn++);
    return (word[0] ?? 0) / 2 ** 32;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#draw() * from.length)] as T;
  }

  #plan(n: number): Planned {
    const chance = this.#draw();
    const fate: Fate = chance < 0.04 ? 'failed' : chance < 0.08 ? 'canceled' : 'succeeded';
    const params = {
      steps: 1 + Math.floor(3 * this.#draw()),
      step_ms: fate === 'canceled' ? 60_000 : Math.floor(40 * this.#draw()),
      artefacts: Math.floor(3 * this.#draw()),
      artefact_bytes: 64 + Math.floor(20_000 * this.#draw()),
      fail_at: fate === 'failed' ? 1 : null,
      // beyond what travels in a message
      padding: this.#draw() < 0.05 ? 'x'.repeat(60_000) : '',
      seed: n,
    };
    return { key: `storm-${this.#options.seed}-${n}`, fate, params, id: null };
  }

  /** A share of what workers and clients ask meets trouble; what opens a connection for good is left alone. */
  #trouble({ path }: Asked): ReturnType<TroubledLine['trouble']> {
    return this.#calm || path.endsWith('/announce') || this.#draw() > TROUBLED_SHARE ? 'pass' : this.#pick(TROUBLES);
  }

  async #startWorker(): Promise<void> {
    await this.#stack.startWorker({ edge_url: this.#lines.worker.url });
  }

  /** Posts under a key until an answer says which job it is; the same key must always name the same job. */
  async #post(planned: Planned): Promise<string> {
    const { key, params } = planned;
    for (;;) {
      const answer = await this.#stack
        .call('POST', '/v1/jobs', {
          body: { type: 'diagnostics.run', params, max_attempts: 10 },
          headers: { 'idempotency-key': key },
          base: this.#lines.client.url,
        })
        .then(async (response) => ({ status: response.status, job: (await response.json()) as Partial<Job> }))
        .catch(() => null);
      if (answer?.status === 202 && answer.job.id) {
        return answer.job.id;
      }
      if (answer && answer.status < 500 && answer.status !== 409) {
        throw new Error(`${answer.status}: ${JSON.stringify(answer.job)}`);
      }
      await sleep(200);
    }
  }

  async #postAll(): Promise<void> {
    let next = 0;
    const lane = async () => {
      while (next < this.#planned.length) {
        const planned = this.#planned[next++] as Planned;
        planned.id = await this.#post(planned);
        if (planned.fate === 'canceled') {
          await this.#cancel(planned.id);
        }
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  async #cancel(id: string): Promise<void> {
    for (;;) {
      const answer = await this.#stack
        .call('POST', `/v1/jobs/${id}/cancel`, { base: this.#lines.client.url })
        .then(async (response) => ({ ok: response.ok, text: await response.text() }))
        .catch(() => null);
      if (answer?.ok) {
        return;
      }
      await sleep(200);
    }
  }

  /** Kills one part after the other, until the calm. */
  async #blow(): Promise<void> {
    const parts = ['worker', 'worker asked to stop', 'computation', 'edge', 'line'] as const;
    while (!this.#calm) {
      await sleep(this.#options.every_ms * (0.5 + this.#draw()));
      const part = this.#pick(parts);
      if (!this.#calm) {
        this.#kills[part] = (this.#kills[part] ?? 0) + 1;
        await this.#kill(part).catch((error: unknown) => {
          this.#broken.push(`after killing ${part}: ${String(error)}`);
        });
      }
    }
  }

  async #kill(part: 'worker' | 'worker asked to stop' | 'computation' | 'edge' | 'line'): Promise<void> {
    const { workers } = this.#stack;
    const worker = this.#pick(workers) as Worker;
    switch (part) {
      case 'worker':
      case 'worker asked to stop':
        await worker.end(part === 'worker' ? 'SIGKILL' : 'SIGTERM');
        workers.splice(workers.indexOf(worker), 1);
        return this.#startWorker();
      case 'computation':
        for (const child of childrenOf(worker.process.pid ?? 0)) {
          process.kill(child, 'SIGKILL');
        }
        return;
      case 'edge':
        await this.#stack.edge.stop(this.#draw() < 0.5 ? 'SIGKILL' : 'SIGTERM');
        return this.#stack.startEdge();
      case 'line': {
        const { worker: line } = this.#lines;
        const before = line.trouble;
        line.trouble = () => 'refuse';
        await sleep(6000);
        line.trouble = before;
      }
    }
  }

  /** Waits until a share of the jobs has ended. */
  async #ended(share: number): Promise<void> {
    const wanted = Math.ceil(share * this.#planned.length);
    const count = async () =>
      Number(
        (
          await this.#stack.edge
            .execute("SELECT count(*) AS n FROM jobs WHERE status IN ('succeeded', 'failed', 'canceled')")
            .catch(() => [{ n: 0 }])
        )[0]?.n,
      );
    await until(async () => (await count()) >= wanted, `${wanted} jobs to end`, 3_600_000);
  }

  async #reconcile(ms: number): Promise<StormReport> {
    const wrong: string[] = [...this.#broken];
    const say = (what: string): void => void wrong.push(what);
    const ids = this.#planned.map(({ id }) => id);
    if (new Set(ids).size !== ids.length) {
      say('two keys name one job');
    }
    const listed = await this.#stack.edge.execute('SELECT id, status FROM jobs');
    if (listed.length !== ids.length) {
      say(`${listed.length} jobs are listed, ${ids.length} were posted`);
    }
    const indexed = new Map(listed.map((row) => [row.id, row.status]));
    const counts = { succeeded: 0, failed: 0, canceled: 0, queued: 0, running: 0 };
    let [attempts, most_attempts] = [0, 0];
    const waiting = [...this.#planned];
    const lane = async () => {
      for (let planned = waiting.pop(); planned; planned = waiting.pop()) {
        const job = await this.#stack.job(planned.id ?? '');
        counts[job.status] += 1;
        attempts += job.attempt;
        most_attempts = Math.max(most_attempts, job.attempt);
        for (const what of await this.#faults(planned, job, String(indexed.get(job.id)))) {
          say(`${job.id}: ${what}`);
        }
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    for (const what of await this.#leftovers()) {
      say(what);
    }
    const seen = Object.values(this.#lines).flatMap((line) => line.seen);
    const met = (trouble: string) => seen.filter((one) => one.trouble === trouble).length;
    return {
      seed: this.#options.seed,
      jobs: ids.length,
      succeeded: counts.succeeded,
      failed: counts.failed,
      canceled: counts.canceled,
      attempts,
      most_attempts,
      answers_refused: met('refuse'),
      answers_lost: met('lost'),
      answers_cut: met('cut'),
      answers_500: met('500'),
      kills: this.#kills,
      seconds: ms / 1000,
      wrong,
    };
  }

  /** What is not right with one job: its end, its index row, its frames, its artefacts, its key. */
  async #faults(planned: Planned, job: Job, indexed: string): Promise<string[]> {
    const wrong: string[] = [];
    if (job.status !== planned.fate) {
      wrong.push(`${job.status} instead of ${planned.fate}: ${JSON.stringify(job.error)}`);
    }
    if (indexed !== job.status) {
      wrong.push(`the list says ${indexed}, the ledger ${job.status}`);
    }
    const frames = (await this.#stack.statuses(job.id)).map(({ status }) => status);
    if (frames.filter((one) => one === job.status).length !== 1 || frames.at(-1) !== job.status) {
      wrong.push(`its frames are ${frames.join(', ')}`);
    }
    if ((await this.#post(planned)) !== job.id) {
      wrong.push('its key names another job');
    }
    if (job.status === 'succeeded') {
      const { artefacts } = planned.params as { artefacts: number };
      const digests = (job.result?.artefact_digests ?? []) as string[];
      if (job.artefacts.length !== artefacts || digests.length !== artefacts) {
        wrong.push(`${job.artefacts.length} artefacts instead of ${artefacts}`);
      }
      for (const { id, sha256 } of job.artefacts) {
        const bytes = new Uint8Array(await (await this.#stack.call('GET', `/v1/artefacts/${id}`)).arrayBuffer());
        if (createHash('sha256').update(bytes).digest('hex') !== sha256 || !digests.includes(sha256)) {
          wrong.push(`the bytes of ${id} are not those of its digest`);
        }
      }
    }
    return wrong;
  }

  /** What a storm must not leave: rows of artefacts without a job that shows them, messages, processes. */
  async #leftovers(): Promise<string[]> {
    const wrong: string[] = [];
    const [row] = await this.#stack.edge.execute(
      `SELECT count(*) AS n FROM artefacts WHERE job IS NOT NULL
         AND job NOT IN (SELECT id FROM jobs WHERE status = 'succeeded')`,
    );
    if (row?.n !== 0) {
      wrong.push(`${row?.n} artefacts belong to jobs that did not succeed`);
    }
    const reserved = await this.#stack.edge.execute(
      `SELECT count(*) AS n FROM artefacts a WHERE NOT EXISTS (
         SELECT 1 FROM blobs b WHERE b.tenant = a.tenant AND b.sha256 = a.sha256 AND b.state = 'stored')`,
    );
    if (reserved[0]?.n !== 0) {
      wrong.push(`${reserved[0]?.n} artefacts have no stored bytes`);
    }
    const left = async () =>
      (
        (await this.#stack.gateway('pull', { batch_size: 1, visibility_timeout_ms: 0 })).result as {
          message_backlog_count: number;
        }
      ).message_backlog_count;
    await until(async () => (await left()) === 0, 'the queue to be empty', 90_000).catch((error: Error) =>
      wrong.push(error.message),
    );
    wrong.push(...(await this.#stagingLeft()));
    const children = this.#stack.workers.flatMap(({ process: { pid } }) => [pid ?? 0, ...childrenOf(pid ?? 0)]);
    await this.#stack.stopWorkers();
    await until(() => !children.some(isAlive), 'processes to end', 10_000).catch((error: Error) =>
      wrong.push(error.message),
    );
    return wrong;
  }

  /**
   * What attempts that died have staged is all known to the clean-up: a day later, at the edge's next start, none of it is
   * left, and of what jobs show everything is.
   */
  async #stagingLeft(): Promise<string[]> {
    const { edge } = this.#stack;
    const shown = (await edge.execute("SELECT count(*) AS n FROM artefacts WHERE state = 'stored'"))[0]?.n;
    await edge.execute('UPDATE staging SET touched_at = 0');
    await edge.stop();
    await this.#stack.startEdge();
    const left = async () => {
      const rows = await this.#stack.edge.execute('SELECT count(*) AS n FROM staging');
      return Number(rows[0]?.n) + (await this.#stack.storedKeys('/staging/')).length;
    };
    const wrong: string[] = [];
    await until(async () => (await left()) === 0, 'staging to be empty', 60_000).catch((error: Error) =>
      wrong.push(error.message),
    );
    const digests = await this.#stack.edge.execute("SELECT DISTINCT sha256 FROM artefacts WHERE state = 'stored'");
    const bytes = new Set((await this.#stack.storedKeys('/blob/')).map((key) => key.split('/').at(-1)));
    const after = (await this.#stack.edge.execute("SELECT count(*) AS n FROM artefacts WHERE state = 'stored'"))[0]?.n;
    if (after !== shown || !digests.every(({ sha256 }) => bytes.has(String(sha256)))) {
      wrong.push('the clean-up took bytes that jobs show');
    }
    return wrong;
  }
}
