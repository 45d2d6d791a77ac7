/** The worker's loop in each lane: pull, verify, claim, run, settle. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import {
  type Claim,
  type ClaimRequest,
  claimSchema,
  type Message,
  queueBodySchema,
} from '../../shared/contracts/worker-call.ts';
import { FetchedKeys } from '../../shared/signing/key-set.ts';
import { openMessage } from '../../shared/signing/message.ts';
import { newTraceparent, readTraceparent } from '../../shared/signing/traceparent.ts';
import { type Arrivals, arrivalsOf } from './arrivals.ts';
import { Attempt, type ClaimedJob, scratchOf } from './attempt.ts';
import { followDeletions } from './cache-deletions.ts';
import { EdgeClock } from './clock.ts';
import { Computations } from './computations.ts';
import type { Configuration } from './configuration.ts';
import { EdgeCalls, isPassing } from './edge-calls.ts';
import { HostHealth } from './host-health.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { bodyOf, type Disposition, type PulledMessage } from './queue.ts';
import { repeatPassing } from './repeat.ts';

const ACKNOWLEDGE: Disposition = { action: 'acknowledge' };
const retryIn = (delay_s: number): Disposition => ({ action: 'retry', delay_s });
/** Refusals of a claim that mean: this message has nothing to say any more. */
const SPENT = ['job_busy', 'job_terminal', 'worker_refused', 'dispatch_unknown', 'input_not_found', 'not_found'];
/** Tries of a claim before the message is given back. */
const CLAIM_TRIES = 4;

/** Interactive jobs at a time: they share a process, and texts of one model a batch. */
const INTERACTIVE_SEATS = 8;

/** Polls in a row that must find a lane idle and its queue empty before a worker that works until nothing waits ends. */
const EMPTY_POLLS = 10;

/**
 * What arrives in a lane, and the processes that compute it: the end of one lane's process is nothing to the other's jobs.
 * `emptyPolls`: so many in a row found it idle and its queue empty.
 */
type Lane = { arrivals: Arrivals; computations: Computations; emptyPolls: number };

export class Worker {
  readonly #configuration: Configuration;
  readonly #log: Log;
  readonly #clock = new EdgeClock();
  readonly #edge: EdgeCalls;
  readonly #keys: FetchedKeys;
  readonly #lanes: Lane[];
  readonly #metrics: Metrics;
  readonly #health: HostHealth;
  readonly #shutdown = new AbortController();
  /** The queue or the keys could not be reached at the last try; said once. */
  #waiting = false;
  /** The edge gave no answer to the last claim: nothing is pulled before it answers again. */
  #away = false;
  /** Tells this process from one that was started before it under the same key. */
  readonly #nonce = randomUUID();
  readonly #untilEmpty: boolean;

  /** @param untilEmpty `run` ends by itself when nothing waits in any lane */
  constructor(
    configuration: Configuration,
    log: Log,
    metrics: Metrics,
    health: HostHealth = new HostHealth(configuration.data),
    { untilEmpty = false }: { untilEmpty?: boolean } = {},
  ) {
    this.#health = health;
    this.#untilEmpty = untilEmpty;
    this.#configuration = configuration;
    this.#log = log;
    this.#metrics = metrics;
    this.#edge = new EdgeCalls(configuration.edge_url, configuration.key, this.#clock);
    const setup = {
      scratch: scratchOf(configuration),
      cache: join(configuration.data, 'cache'),
      memory_limit_bytes: configuration.memory_limit_bytes,
    };
    this.#lanes = arrivalsOf(configuration, this.#edge, log).map((arrivals) => ({
      arrivals,
      emptyPolls: 0,
      computations: new Computations({
        ...setup,
        yielding: arrivals.lane === 'batch',
        output: (stream, text) => log('computation printed', { stream, text, jobs: [...arrivals.announcer.jobs] }),
      }),
    }));
    this.#keys = new FetchedKeys({ load: () => this.#edge.keySet(), now: () => performance.now() });
  }

  /** Gives back the job in hand and ends `run`. */
  stop(): void {
    this.#shutdown.abort();
  }

  /** Works until `stop`, or until nothing waits. Raises `signature_invalid` when the edge does not know this worker. */
  async run(): Promise<void> {
    // What a killed predecessor left behind.
    await rm(scratchOf(this.#configuration), { recursive: true, force: true });
    const over = new AbortController();
    const until = AbortSignal.any([this.#shutdown.signal, over.signal]);
    const cache = join(this.#configuration.data, 'cache');
    const beside = Promise.all([
      ...this.#lanes.map(({ arrivals }) => arrivals.run(until)),
      followDeletions(this.#edge, cache, until, {
        forget: (digests) => {
          for (const { computations } of this.#lanes) {
            computations.forget(digests);
          }
        },
      }),
    ]);
    try {
      for (const { computations } of this.#lanes) {
        computations.prepare();
      }
      await Promise.all(this.#lanes.map((lane) => this.#serve(lane, until).finally(() => over.abort())));
    } finally {
      over.abort();
      await Promise.all(this.#lanes.map(({ computations }) => computations.close()));
      await beside;
    }
  }

  /** Takes the lane's jobs until the signal. Raises `signature_invalid` when the edge does not know this worker. */
  async #serve(lane: Lane, signal: AbortSignal): Promise<void> {
    const { arrivals } = lane;
    const seats = arrivals.lane === 'interactive' ? INTERACTIVE_SEATS : 1;
    const inHand = new Set<Promise<void>>();
    const failures: unknown[] = [];
    let messages: PulledMessage[] = [];
    // fewer than were asked for: that was all, and the bell tells of the next
    let more = true;
    while (!signal.aborted && failures.length === 0) {
      const free = seats - inHand.size;
      if (free === 0) {
        await Promise.race(inHand);
        continue;
      }
      const pull = () => this.#next(arrivals, free);
      messages = more ? await pull() : await arrivals.next(pull, signal);
      more = messages.length === free;
      this.#countEmpty(lane, messages.length + inHand.size === 0);
      for (const message of signal.aborted ? [] : messages.splice(0)) {
        const job = this.#deliver(lane, message)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => inHand.delete(job));
        inHand.add(job);
      }
    }
    await Promise.all(inHand);
    if (failures.length > 0) {
      throw failures[0];
    }
    await Promise.all(messages.map((message) => arrivals.settle(message, retryIn(0)).catch(() => {})));
  }

  /** Ends the worker where it works until nothing waits, and nothing has waited in any lane for a while. */
  #countEmpty(lane: Lane, empty: boolean): void {
    // where queue or keys could not be reached nothing is known
    lane.emptyPolls = empty && !this.#waiting && this.#health.reason === null ? lane.emptyPolls + 1 : 0;
    if (this.#untilEmpty && this.#lanes.every(({ emptyPolls }) => emptyPolls >= EMPTY_POLLS)) {
      this.stop();
    }
  }

  /** Whether this host can compute; said once when that changes, to the edge too. */
  async #isWell(): Promise<boolean> {
    const before = this.#health.reason;
    const well = await this.#health.isWell();
    const { reason } = this.#health;
    if ((reason === null) !== (before === null)) {
      this.#log(reason === null ? 'well again' : 'unwell', reason === null ? {} : { reason });
      for (const { arrivals } of this.#lanes) {
        arrivals.announcer.unwell = reason;
      }
    }
    return well;
  }

  /** The next messages; none while this host cannot compute, nor while the edge's keys cannot be had, so that an outage uses up no delivery. */
  async #next(arrivals: Arrivals, most: number): Promise<PulledMessage[]> {
    try {
      if (!(await this.#isWell())) {
        return [];
      }
      if (!this.#keys.ready) {
        await this.#keys.refresh();
      } else if (this.#away) {
        await this.#edge.keySet();
      }
      this.#away = false;
      const messages = await arrivals.pull(most);
      this.#waiting = false;
      return messages;
    } catch (error) {
      if (!this.#waiting) {
        this.#log('waiting', { reason: String(error) });
      }
      this.#waiting = true;
      return [];
    }
  }

  async #deliver(lane: Lane, message: PulledMessage): Promise<void> {
    const fields = { message: message.id, delivery: message.attempts };
    let disposition: Disposition | null;
    try {
      disposition = await this.#handle(lane, message);
    } catch (error) {
      if (error instanceof SextantError && error.code === 'signature_invalid') {
        await lane.arrivals.settle(message, retryIn(1)).catch(() => {});
        throw error;
      }
      this.#log('trouble', { ...fields, reason: String(error) });
      disposition = retryIn(5);
    }
    if (disposition) {
      await this.#settle(lane, message, disposition);
    }
  }

  async #settle({ arrivals }: Lane, message: PulledMessage, disposition: Disposition): Promise<void> {
    await arrivals.settle(message, disposition).catch((error: unknown) => {
      // The message comes back after its visibility time; the ledger will refuse it then.
      this.#log('not settled', { message: message.id, delivery: message.attempts, reason: String(error) });
    });
  }

  /** What is still to become of the message; null where it has been acknowledged. */
  async #handle(lane: Lane, delivery: PulledMessage): Promise<Disposition | null> {
    const { announcer } = lane.arrivals;
    let message: Message;
    let jws: string;
    try {
      jws = queueBodySchema.parse(bodyOf(delivery)).jws;
      message = await openMessage(jws, this.#keys, this.#clock.now() / 1000);
    } catch (error) {
      const unsure = error instanceof SextantError && error.code === 'unavailable';
      this.#log(unsure ? 'postponed' : 'refused', { message: delivery.id, reason: String(error) });
      this.#metrics.message('refused');
      // Refused messages run out of deliveries and end in the dead-letter queue, where the operator finds them.
      return retryIn(unsure ? (error.retryAfterS ?? 5) : Math.min(60, delivery.attempts - 1));
    }
    const trace = readTraceparent(message.traceparent ?? null) ?? newTraceparent();
    const edge = this.#edge.within(trace);
    const claim = await this.#claim(edge, message, jws, trace);
    if ('action' in claim) {
      this.#metrics.message('not_claimed');
      return claim;
    }
    // The job is the ledger's from here on: a message that came again would have nothing to say, and nothing waits for this.
    const settled = this.#settle(lane, delivery, ACKNOWLEDGE);
    const job = { trace, id: message.sub, type: message.type, attempt: claim.attempt };
    this.#log('claimed', job);
    announcer.jobs.add(job.id);
    const end = await this.#metrics
      .attempt(job.type, () => this.#work(lane, edge, { message, claim, trace }))
      .finally(() => {
        announcer.jobs.delete(job.id);
      });
    this.#metrics.message('worked');
    this.#log(end, job);
    await settled;
    return null;
  }

  /** The claim, or what becomes of the message without one. Raises `signature_invalid`. */
  async #claim(edge: EdgeCalls, message: Message, jws: string, trace: string): Promise<Claim | Disposition> {
    const { memory_limit_bytes: memory_bytes } = this.#configuration;
    const body: ClaimRequest = { dispatch: message.jti, message: jws, nonce: this.#nonce, memory_bytes };
    const claim = () => edge.post(`/internal/jobs/${message.sub}/claim`, body, { fence: null, schema: claimSchema });
    try {
      return await repeatPassing(claim, this.#shutdown.signal, CLAIM_TRIES);
    } catch (error) {
      if (!(error instanceof SextantError) || error.code === 'signature_invalid') {
        throw error;
      }
      this.#log('not claimed', { trace, job: message.sub, reason: error.code });
      this.#away = isPassing(error);
      return SPENT.includes(error.code) ? ACKNOWLEDGE : retryIn(isPassing(error) ? 2 : 30);
    }
  }

  /** Computes and delivers; says how it ended. What goes wrong there is logged, and the lease says the rest. */
  async #work({ computations }: Lane, edge: EdgeCalls, job: ClaimedJob): Promise<string> {
    const attempt = new Attempt(this.#configuration, edge, job, { log: this.#log, computations });
    try {
      const end = await attempt.run(this.#shutdown.signal);
      if (end === 'completed' || end === 'failed') {
        this.#health.attempt(attempt.hostFault);
      }
      return end;
    } catch (error) {
      this.#log('not reported', { trace: job.trace, job: job.message.sub, reason: String(error) });
      return 'lost';
    }
  }
}
