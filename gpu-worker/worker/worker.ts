/** The worker's loop in each lane: pull, verify, claim, run, settle. One job of a lane at a time. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonPointer, paramError, SextantError } from '../../shared/contracts/problem.ts';
import { type Claim, claimSchema, type Message, queueBodySchema } from '../../shared/contracts/worker-call.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import { inputDigest, sha256Hex } from '../../shared/signing/digest.ts';
import { FetchedKeys } from '../../shared/signing/key-set.ts';
import { openMessage } from '../../shared/signing/message.ts';
import { newTraceparent, readTraceparent } from '../../shared/signing/traceparent.ts';
import { type Arrivals, arrivalsOf } from './arrivals.ts';
import { Attempt, scratchOf } from './attempt.ts';
import { followDeletions } from './cache-deletions.ts';
import { EdgeClock } from './clock.ts';
import { statedError } from './computation-failure.ts';
import { Computations } from './computations.ts';
import type { Configuration } from './configuration.ts';
import { EdgeCalls, isPassing } from './edge-calls.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { bodyOf, type Disposition, type PulledMessage } from './queue.ts';

const ACKNOWLEDGE: Disposition = { action: 'acknowledge' };
const retryIn = (delay_s: number): Disposition => ({ action: 'retry', delay_s });
/** Refusals of a claim that mean: this message has nothing to say any more. */
const SPENT = ['job_busy', 'job_terminal', 'dispatch_unknown', 'input_not_found', 'not_found'];

/** Interactive jobs at a time: they share a process, and texts of one model a batch. */
const INTERACTIVE_SEATS = 8;

/** What arrives in a lane, and the processes that compute it: the end of one lane's process is nothing to the other's jobs. */
type Lane = { arrivals: Arrivals; computations: Computations };

export class Worker {
  readonly #configuration: Configuration;
  readonly #log: Log;
  readonly #clock = new EdgeClock();
  readonly #edge: EdgeCalls;
  readonly #keys: FetchedKeys;
  readonly #lanes: Lane[];
  readonly #metrics: Metrics;
  readonly #shutdown = new AbortController();
  /** The queue or the keys could not be reached at the last try; said once. */
  #waiting = false;

  constructor(configuration: Configuration, log: Log, metrics: Metrics) {
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
      computations: new Computations(setup),
    }));
    this.#keys = new FetchedKeys({ load: () => this.#edge.keySet(), now: () => performance.now() });
  }

  /** Gives back the job in hand and ends `run`. */
  stop(): void {
    this.#shutdown.abort();
  }

  /** Works until `stop`. Raises `signature_invalid` when the edge does not know this worker. */
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
    const pull = () => this.#next(arrivals);
    const seats = arrivals.lane === 'interactive' ? INTERACTIVE_SEATS : 1;
    const inHand = new Set<Promise<void>>();
    const failures: unknown[] = [];
    let message = await pull();
    while (!signal.aborted && failures.length === 0) {
      if (message) {
        const job = this.#deliver(lane, message)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => inHand.delete(job));
        inHand.add(job);
        if (inHand.size >= seats) {
          await Promise.race(inHand);
        }
      }
      message = message && !signal.aborted ? await pull() : await arrivals.next(pull, signal);
    }
    await Promise.all(inHand);
    if (failures.length > 0) {
      throw failures[0];
    }
    if (message) {
      await arrivals.settle(message, retryIn(0)).catch(() => {});
    }
  }

  /** The next message; none while the edge's keys cannot be had, so that an outage uses up no delivery. */
  async #next(arrivals: Arrivals): Promise<PulledMessage | null> {
    try {
      if (!this.#keys.ready) {
        await this.#keys.refresh();
      }
      const message = await arrivals.pull();
      this.#waiting = false;
      return message;
    } catch (error) {
      if (!this.#waiting) {
        this.#log('waiting', { reason: String(error) });
      }
      this.#waiting = true;
      return null;
    }
  }

  async #deliver(lane: Lane, message: PulledMessage): Promise<void> {
    const fields = { message: message.id, delivery: message.attempts };
    let disposition: Disposition;
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
    await lane.arrivals.settle(message, disposition).catch((error: unknown) => {
      // The message comes back after its visibility time; the ledger will refuse it then.
      this.#log('not settled', { ...fields, reason: String(error) });
    });
  }

  async #handle({ arrivals: { announcer }, computations }: Lane, delivery: PulledMessage): Promise<Disposition> {
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
    const job = { trace, id: message.sub, type: message.type, attempt: claim.attempt };
    this.#log('claimed', job);
    announcer.jobs.add(job.id);
    const end = await this.#metrics
      .attempt(job.type, () => this.#work(computations, edge, message, claim))
      .finally(() => {
        announcer.jobs.delete(job.id);
      });
    this.#metrics.message('worked');
    this.#log(end, job);
    return ACKNOWLEDGE;
  }

  /** The claim, or what becomes of the message without one. Raises `signature_invalid`. */
  async #claim(edge: EdgeCalls, message: Message, jws: string, trace: string): Promise<Claim | Disposition> {
    const body = { dispatch: message.jti, message: jws };
    try {
      return await edge.post(`/internal/jobs/${message.sub}/claim`, body, { fence: null, schema: claimSchema });
    } catch (error) {
      if (!(error instanceof SextantError) || error.code === 'signature_invalid') {
        throw error;
      }
      this.#log('not claimed', { trace, job: message.sub, reason: error.code });
      return SPENT.includes(error.code) ? ACKNOWLEDGE : retryIn(isPassing(error) ? 2 : 30);
    }
  }

  async #work(computations: Computations, edge: EdgeCalls, message: Message, claim: Claim): Promise<string> {
    const { sub: id, type, input_digest } = message;
    const trace = edge.trace ?? newTraceparent();
    try {
      const params = await this.#params(message, claim);
      const job = { id, type, input_digest, params, claim, trace };
      return await new Attempt(this.#configuration, edge, job, {
        log: this.#log,
        computations,
      }).run(this.#shutdown.signal);
    } catch (error) {
      const typed = error instanceof SextantError ? error : new SextantError('computation_crashed', String(error));
      const body = {
        error: statedError(typed),
        retryable: !['validation_failed', 'job_type_unknown'].includes(typed.code),
      };
      await edge
        .post(`/internal/jobs/${id}/fail`, body, { fence: claim.fence, schema: claimSchema.partial() })
        .catch((cause: unknown) => this.#log('not reported', { trace, job: id, reason: String(cause) }));
      return `failed: ${typed.code}: ${typed.message}`;
    }
  }

  /**
   * The params, from the message or by reference, checked against the digest that the edge signed and against this
   * worker's own contract. Raises `job_type_unknown`, `validation_failed`, `unavailable`, `artefact_mismatch`.
   */
  async #params(message: Message, claim: Claim): Promise<Record<string, unknown>> {
    const contract = Object.hasOwn(JOB_CONTRACTS, message.type) ? JOB_CONTRACTS[message.type] : undefined;
    if (!contract) {
      throw new SextantError('job_type_unknown', `this worker knows no job type '${message.type}'`);
    }
    const params = message.params ?? (await fetchParams(message, claim));
    const parsed = contract.params.safeParse(params);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw paramError('validation_failed', jsonPointer(issue?.path ?? []), issue?.message ?? 'the params do not fit');
    }
    if ((await inputDigest(message.type, contract.version, params)) !== message.input_digest) {
      throw new SextantError('conflict', 'the params are not those of the input digest: versions differ');
    }
    return parsed.data as Record<string, unknown>;
  }
}

async function fetchParams({ params_ref }: Message, { params_url }: Claim): Promise<Record<string, unknown>> {
  if (!params_ref || !params_url) {
    throw new SextantError('validation_failed', 'the message holds no params');
  }
  const response = await fetch(params_url, { signal: AbortSignal.timeout(60_000) }).catch(() => null);
  if (!response?.ok) {
    throw new SextantError('unavailable', `the params cannot be fetched: ${response?.status ?? ''}`);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.byteLength !== params_ref.bytes || (await sha256Hex(bytes)) !== params_ref.sha256) {
    throw new SextantError('artefact_mismatch', 'the fetched params have another digest than the message names');
  }
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}
