/**
 * A storm over a whole stack: jobs of many kinds while lines refuse, lose, cut and fail, and every part is killed in turn.
 * Everything is drawn from the seed but the moments at which processes meet.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../../../shared/contracts/job.ts';
import { RandomStream } from '../../../shared/math/random.ts';
import type { Stack } from './stack.ts';
import { PARTS, StormParts } from './storm-parts.ts';
import { type Fate, type Planned, type Reconciled, reconcile } from './storm-reconciliation.ts';
import type { Asked, TroubledLine } from './troubled-line.ts';

export type StormOptions = { seed: number; jobs: number; workers: number; every_ms: number };
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
  /** From SIGTERM to the end of workers that were told to stop, in seconds. */
  stop_s_median: number | null;
  stop_s_most: number | null;
  seconds: number;
  /** Everything that was not as it has to be; empty after a storm that was weathered. */
  wrong: string[];
};

const TROUBLED_SHARE = 0.12;
const TROUBLES = ['refuse', 'lost', 'cut', '500'] as const;
const LANES = 6;
/** A storm in which nothing happens for so long has got stuck: it says so, and ends. */
const STUCK_MS = 300_000;
/** One call may take this long. */
const CALL_MS = 30_000;

export class Storm {
  readonly #stack: Stack;
  readonly #lines: { client: TroubledLine; worker: TroubledLine };
  readonly #options: StormOptions;
  readonly #draws: RandomStream;
  readonly #planned: Planned[];
  readonly #parts: StormParts;
  #drawn = 0;
  #calm = false;
  #movedAt = performance.now();
  /** What went wrong with the storm itself. */
  readonly #broken: string[] = [];

  constructor(stack: Stack, lines: { client: TroubledLine; worker: TroubledLine }, options: StormOptions) {
    this.#stack = stack;
    this.#lines = lines;
    this.#options = options;
    this.#draws = new RandomStream(options.seed, 'storm');
    this.#planned = Array.from({ length: options.jobs }, (_, n) => this.#plan(n));
    this.#parts = new StormParts(stack, lines.worker, options.workers, () => this.#draw());
    for (const line of Object.values(lines)) {
      line.trouble = (asked) => this.#trouble(asked);
    }
  }

  /** Runs to the end of every job, or until nothing happens any more, and looks whether all of it is right. */
  async run(): Promise<StormReport> {
    const began = performance.now();
    await this.#parts.restore();
    this.#movedAt = performance.now();
    const blowing = this.#blow();
    try {
      await this.#postAll();
      await this.#ended(0.9);
      this.#calm = true;
      await blowing;
      await this.#parts.restore();
      await this.#ended(1);
    } catch (error) {
      this.#broken.push(`${(error as Error).message}; ${this.#parts.describe()}`);
    }
    this.#calm = true;
    await blowing;
    return this.#report(performance.now() - began);
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

  /** What a call through the clients' line answers; null where no answer came. */
  async #ask(path: string, init: { body?: unknown; headers?: Record<string, string> } = {}) {
    try {
      const signal = AbortSignal.timeout(CALL_MS);
      const response = await this.#stack.call('POST', path, { ...init, base: this.#lines.client.url, signal });
      return { status: response.status, job: (await response.json()) as Partial<Job> };
    } catch {
      return null;
    }
  }

  /** Posts under a key until an answer says which job it is; the same key must always name the same job. */
  async #post({ key, params }: Planned): Promise<string> {
    for (;;) {
      const answer = await this.#ask('/v1/jobs', {
        body: { type: 'diagnostics.run', params, max_attempts: 10 },
        headers: { 'idempotency-key': key },
      });
      if (answer?.status === 202 && answer.job.id) {
        this.#movedAt = performance.now();
        return answer.job.id;
      }
      if (answer && answer.status < 500 && answer.status !== 409) {
        throw new Error(`${answer.status}: ${JSON.stringify(answer.job)}`);
      }
      await this.#pause(`posting ${key}: ${answer ? `${answer.status} ${JSON.stringify(answer.job)}` : 'no answer'}`);
    }
  }

  /** Before another try. Raises an Error where the storm has got stuck. */
  async #pause(at: string): Promise<void> {
    if (performance.now() - this.#movedAt > STUCK_MS) {
      throw new Error(`stuck: nothing has happened for ${STUCK_MS / 1000} s, at ${at}`);
    }
    await sleep(200);
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
      const answer = await this.#ask(`/v1/jobs/${id}/cancel`);
      if (answer?.status === 200) {
        return;
      }
      await this.#pause(`canceling ${id}: ${answer ? `${answer.status} ${JSON.stringify(answer.job)}` : 'no answer'}`);
    }
  }

  /** Kills one part after the other, until the calm. */
  async #blow(): Promise<void> {
    while (!this.#calm) {
      await sleep(this.#options.every_ms * (0.5 + this.#draw()));
      const part = this.#pick(PARTS);
      if (!this.#calm) {
        await this.#parts.kill(part).catch((error: unknown) => {
          this.#broken.push(`after killing ${part}: ${String(error)}`);
        });
      }
    }
  }

  /** Waits until a share of the jobs has ended. Raises an Error where none ends for too long. */
  async #ended(share: number): Promise<void> {
    const wanted = Math.ceil(share * this.#planned.length);
    for (let seen = -1; ; ) {
      const rows = await this.#stack.edge.execute('SELECT id, status FROM jobs').catch(() => null);
      const open = rows?.filter(({ status }) => status === 'queued' || status === 'running') ?? [];
      const ended = rows ? rows.length - open.length : seen;
      if (ended >= wanted) {
        return;
      }
      if (ended !== seen) {
        [seen, this.#movedAt] = [ended, performance.now()];
      }
      const waiting = open.slice(0, 5).map(({ id, status }) => `${id} ${status}`);
      await this.#pause(`${ended} of ${wanted} jobs that are to end: ${waiting.join(', ')}`);
    }
  }

  async #report(ms: number): Promise<StormReport> {
    const { seed } = this.#options;
    const nothing = { counts: { succeeded: 0, failed: 0, canceled: 0 }, attempts: 0, most_attempts: 0 };
    const { counts, attempts, most_attempts, wrong } = await reconcile(this.#stack, this.#planned, (planned) =>
      this.#post(planned),
    ).catch((error: unknown): Reconciled => ({ ...nothing, wrong: [`not reconciled: ${String(error)}`] }));
    const seen = Object.values(this.#lines).flatMap((line) => line.seen);
    const met = (trouble: string) => seen.filter((one) => one.trouble === trouble).length;
    const stops = [...this.#parts.stops].sort((a, b) => a - b).map((stop) => stop / 1000);
    return {
      seed,
      jobs: this.#planned.length,
      ...counts,
      attempts,
      most_attempts,
      answers_refused: met('refuse'),
      answers_lost: met('lost'),
      answers_cut: met('cut'),
      answers_500: met('500'),
      kills: this.#parts.kills,
      stop_s_median: stops[stops.length >> 1] ?? null,
      stop_s_most: stops.at(-1) ?? null,
      seconds: ms / 1000,
      wrong: [...this.#broken, ...wrong],
    };
  }
}
