/** One claimed attempt, from its first heartbeat to its last word. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { SextantError } from '../../shared/contracts/problem.ts';
import {
  acceptanceSchema,
  type CheckpointRequest,
  type Claim,
  type CompleteRequest,
  heartbeatSchema,
  type Message,
} from '../../shared/contracts/worker-call.ts';
import { type Computation, DISPLACED, type Ending } from './computation.ts';
import { type ComputationFailure, computationFailure, statedError } from './computation-failure.ts';
import type { Written, WrittenCheckpoint } from './computation-messages.ts';
import type { Computations } from './computations.ts';
import type { Configuration } from './configuration.ts';
import { type EdgeCalls, isPassing } from './edge-calls.ts';
import { memoryOf } from './job-memory.ts';
import { paramsOf } from './job-params.ts';
import { isLost, Lease, type LeaseEnd } from './lease.ts';
import type { Log } from './log.ts';
import { TokenLine } from './token-line.ts';
import { Uploader } from './upload.ts';

/** `trace`: traceparent. */
export type ClaimedJob = { message: Message; claim: Claim; trace: string };
/** How the attempt ended, for the log; the ledger has been told wherever it can be. */
type AttemptEnd = 'completed' | 'failed' | 'canceled' | 'lost' | 'released';

/** Reasons for which a computation is stopped, beside those of a lease's end. */
const TIMEOUT = 'timeout';
const MEMORY = 'memory';
const SPENT = 'spent';
const STALLED = 'stalled';
const SHUTDOWN = 'shutdown';

/** How long a job that has reached a cap, or whose worker is told to stop, may take to its last checkpoint; it ends then. */
const LAST_CHUNK_MS = 30_000;
/** What is being brought to the edge when the worker is told to stop may take so long to arrive. */
const LAST_DELIVERY_MS = 1000;
/** The edge promotes what was uploaded piece by piece; one piece may take this long. */
const PROMOTION_MS = 300_000;

/** What the edge says of the job where it was not completed. */
const endedSchema = z.object({ status: z.string() });

/** Holds one folder per attempt of this worker. */
export const scratchOf = ({ data, key }: Configuration): string => join(data, 'scratch', key.kid);

export class Attempt {
  readonly #configuration: Configuration;
  readonly #edge: EdgeCalls;
  readonly #job: ClaimedJob;
  readonly #log: Log;
  readonly #computations: Pick<Computations, 'start'>;
  readonly #over = new AbortController();
  readonly #lease: Lease;
  readonly #uploader: Uploader;
  #computation: Computation | null = null;
  /** Why the next checkpoint is the last: a cap on device seconds, or the worker's end. */
  #lastFor: typeof SPENT | typeof SHUTDOWN | null = null;
  /** The job has saved a checkpoint, in this attempt or before. */
  #saves: boolean;
  /** The completion is on its way: its own answer says what became of the job. */
  #completing = false;
  /** Code of the fault of this host that ended the attempt; null where none did. */
  hostFault: string | null = null;

  constructor(
    configuration: Configuration,
    edge: EdgeCalls,
    job: ClaimedJob,
    { log, computations }: { log: Log; computations: Pick<Computations, 'start'> },
  ) {
    this.#configuration = configuration;
    this.#edge = edge;
    this.#job = job;
    this.#log = log;
    this.#computations = computations;
    const { message, claim } = job;
    this.#saves = claim.checkpoint !== null;
    this.#lease = new Lease(1000 * claim.remaining_s + claim.lease_ms);
    this.#uploader = new Uploader(edge, { job: message.sub, fence: claim.fence }, this.#lease);
  }

  /** Runs to the end; `shutdown` gives the job back. */
  async run(shutdown: AbortSignal): Promise<AttemptEnd> {
    const stop = () => this.#giveBack();
    shutdown.addEventListener('abort', stop);
    if (shutdown.aborted) {
      stop();
    }
    const beating = this.#keepAlive();
    try {
      return await this.#compute();
    } catch (error) {
      return await this.#broken(error);
    } finally {
      shutdown.removeEventListener('abort', stop);
      this.#over.abort();
      this.#lease.close();
      await beating;
    }
  }

  async #compute(): Promise<AttemptEnd> {
    const { message, claim } = this.#job;
    const { sub: id, type } = message;
    const { data, device, threads, models, corpora, hubs, memory_limit_bytes, allow_ablated_models } =
      this.#configuration;
    const params = await paramsOf(message, claim, this.#lease);
    const folder = scratchOf(this.#configuration);
    await mkdir(folder, { recursive: true });
    const scratch = await mkdtemp(join(folder, `${id}-${claim.attempt}-`));
    const cache = join(data, 'cache');
    const configuration = {
      device,
      threads,
      models,
      corpora,
      hubs,
      cache,
      memory_limit_bytes,
      allow_ablated_models,
    };
    const { inputs, checkpoint, followed, fence, attempt } = claim;
    const owner = claim.owner ?? id;
    const memory = await memoryOf(id, cache);
    const order = { type, params, inputs, checkpoint, owner, followed, scratch, memory, configuration };
    const refused = (error: unknown) => isLost(error) && this.#end('lost');
    const tokens = new TokenLine(this.#edge, { id, fence }, this.#lease.signal, refused);
    const keep = async (written: WrittenCheckpoint): Promise<boolean> => {
      this.#saves = true;
      // one that was on its way already is not the last
      const last = this.#lastFor;
      const kept = await this.#keep(written);
      if (kept && last) {
        computation.stop(last);
      }
      return kept;
    };
    const computation: Computation = this.#computations.start(
      order,
      { keep, tokens: (piece) => tokens.tell(piece) },
      // what failed before fails alone
      { alone: attempt > 1 },
    );
    this.#computation = computation;
    if (this.#lease.reason) {
      computation.stop(this.#lease.reason);
    }
    const timer = setTimeout(() => computation.stop(TIMEOUT), claim.remaining_s * 1000);
    try {
      const ending = await computation.ended;
      clearTimeout(timer);
      const leaving = ending.kind === 'stopped' && ending.reason === SHUTDOWN;
      await tokens.drained(leaving ? LAST_DELIVERY_MS : claim.lease_ms);
      return await this.#conclude(ending, computation);
    } finally {
      clearTimeout(timer);
      this.#computation = null;
      await rm(scratch, { recursive: true, force: true });
    }
  }

  /** What ends an attempt otherwise than by its computation: a lease that ended, or trouble around the computation. */
  async #broken(error: unknown): Promise<AttemptEnd> {
    const { reason } = this.#lease;
    if (reason) {
      return this.#without(reason);
    }
    if (isLost(error)) {
      return 'lost';
    }
    try {
      return await this.#fail(computationFailure(error), []);
    } catch (cause) {
      if (isLost(cause) || this.#lease.reason) {
        return 'lost';
      }
      throw cause;
    }
  }

  async #conclude(ending: Ending, { models }: Computation): Promise<AttemptEnd> {
    switch (ending.kind) {
      case 'done':
        return this.#complete(ending.written, models);
      case 'failed': {
        const { kind: _, ...failure } = ending;
        return this.#fail(failure, models);
      }
      case 'crashed': {
        const { detail, started } = ending;
        const failure = { detail, retryable: true };
        return this.#fail(
          started ? { ...failure, code: 'computation_crashed' } : { ...failure, code: 'runtime_broken', host: true },
          models,
        );
      }
      case 'stopped':
        return this.#stopped(ending.reason, models);
    }
  }

  async #stopped(reason: string, models: Computation['models']): Promise<AttemptEnd> {
    const { memory_limit_bytes } = this.#configuration;
    switch (reason) {
      // another's end took its process along: no fault of this job, which is given back as on a shutdown
      case DISPLACED:
        return this.#without(SHUTDOWN);
      case TIMEOUT:
        return this.#fail(
          { code: 'timeout', detail: 'the job used up its timeout_s of running time', retryable: false },
          models,
        );
      case STALLED: {
        const detail = `the computation showed no progress for ${this.#configuration.stall_limit_s} s`;
        return this.#fail({ code: 'stalled', detail, retryable: true }, models);
      }
      case SPENT:
        return this.#fail(
          {
            code: 'spending_cap',
            detail: 'the job reached a cap on device seconds; resume it to go on',
            retryable: false,
          },
          models,
        );
      case MEMORY: {
        const detail = `the computation grew beyond this worker's limit of ${memory_limit_bytes} bytes`;
        return this.#fail({ code: 'memory_exceeded', detail, retryable: false }, models);
      }
      default:
        return this.#without(reason as LeaseEnd);
    }
  }

  /** The end of an attempt that no longer holds its job, or is to hold it no longer. */
  async #without(reason: LeaseEnd): Promise<AttemptEnd> {
    if (reason !== SHUTDOWN) {
      return reason;
    }
    try {
      await this.#lease.lastWord((signal) => this.#post('release', {}, { schema: endedSchema, signal }));
      return 'released';
    } catch (error) {
      // ended or taken up by another meanwhile; or the edge is away, and the lease will say it
      this.#log('not released', { trace: this.#job.trace, job: this.#job.message.sub, reason: String(error) });
      return 'lost';
    }
  }

  async #complete(written: Written, models: Computation['models']): Promise<AttemptEnd> {
    try {
      const artefacts = await this.#uploader.upload(written.artefacts);
      const { result, metrics, published, run } = written;
      const { input_digest } = this.#job.message;
      const completion: CompleteRequest = { input_digest, artefacts, published, result, metrics, run, models };
      this.#completing = true;
      await this.#deliver('complete', completion);
      return 'completed';
    } catch (error) {
      if (!(error instanceof SextantError) || isLost(error) || this.#lease.reason) {
        throw error;
      }
      // Bytes that arrived damaged may arrive whole next time; a completion the edge cannot accept never will.
      const damaged = error.code === 'artefact_missing' || error.code === 'artefact_mismatch';
      return this.#fail({ ...statedError(error), retryable: damaged || isPassing(error) }, models);
    }
  }

  /** Whether the edge has taken the checkpoint; a run goes on without. A lost job is noticed by the heartbeat. */
  async #keep({ state, blobs }: WrittenCheckpoint): Promise<boolean> {
    const { message, claim, trace } = this.#job;
    try {
      const request: CheckpointRequest = { state, blobs: await this.#uploader.upload(blobs) };
      await this.#deliver('checkpoint', request);
      return true;
    } catch (error) {
      this.#log('checkpoint not kept', { trace, job: message.sub, attempt: claim.attempt, reason: String(error) });
      return false;
    }
  }

  async #fail({ retryable, host, ...error }: ComputationFailure, models: Computation['models']): Promise<AttemptEnd> {
    this.hostFault = host ? error.code : null;
    const { trace, message } = this.#job;
    this.#log('failing', { trace, job: message.sub, code: error.code, reason: error.detail });
    const body = { error: { ...error, detail: error.detail.slice(0, 2000) }, retryable, host: host ?? false };
    const tell = (described: Computation['models']) =>
      this.#lease.persist(() => {
        const how = { schema: endedSchema, signal: this.#lease.signal };
        return this.#post('fail', { ...body, models: described }, how);
      });
    await tell(models).catch((cause: unknown) => {
      // descriptions that the edge does not take must not keep it from learning the failure
      if (cause instanceof SextantError && cause.code === 'validation_failed' && models.length > 0) {
        return tell([]);
      }
      throw cause;
    });
    return 'failed';
  }

  /** Until the edge has promoted the last piece; it says in between how far it is. */
  async #deliver(action: 'complete' | 'checkpoint', body: unknown): Promise<void> {
    for (let status = 'promoting'; status === 'promoting'; ) {
      ({ status } = await this.#lease.persist(() =>
        this.#post(action, body, { schema: acceptanceSchema, timeout_ms: PROMOTION_MS, signal: this.#lease.signal }),
      ));
    }
  }

  #post<S extends z.ZodType>(
    action: 'complete' | 'checkpoint' | 'fail' | 'release',
    body: unknown,
    how: { schema: S; timeout_ms?: number; signal?: AbortSignal },
  ): Promise<z.output<S>> {
    const { message, claim } = this.#job;
    return this.#edge.post(`/internal/jobs/${message.sub}/${action}`, body, { fence: claim.fence, ...how });
  }

  /** A computation saves where it stands, or ends at once where it saves nothing; what is being delivered may arrive within a moment. */
  #giveBack(): void {
    if (this.#computation && !this.#computation.over) {
      if (this.#saves) {
        this.#hurry(SHUTDOWN);
      } else {
        this.#computation.stop(SHUTDOWN);
      }
      return;
    }
    const pause = this.#computation ? LAST_DELIVERY_MS : 0;
    setTimeout(() => this.#lease.end(SHUTDOWN), pause).unref();
  }

  #end(reason: LeaseEnd): void {
    this.#lease.end(reason);
    this.#computation?.stop(reason);
  }

  /** Heartbeats until the attempt is over. An edge that is away takes nothing away: what it says when it is back counts. */
  async #keepAlive(): Promise<void> {
    const { message, claim, trace } = this.#job;
    const call = {
      fence: claim.fence,
      schema: heartbeatSchema,
      timeout_ms: Math.max(1000, claim.lease_ms / 2),
      signal: this.#over.signal,
    };
    let refused = 0;
    while (!this.#over.signal.aborted) {
      await sleep(claim.heartbeat_ms, undefined, { signal: this.#over.signal }).catch(() => {});
      if (this.#over.signal.aborted) {
        return;
      }
      this.#watchProgress();
      // a progress that the edge does not take must not cost the lease
      const progress = refused > 0 ? null : (this.#computation?.takeProgress() ?? null);
      try {
        const answer = await this.#edge.post(`/internal/jobs/${message.sub}/heartbeat`, { progress }, call);
        if (answer.cancel && !this.#completing) {
          return this.#end('canceled');
        }
        if (answer.spent) {
          this.#hurry(SPENT);
        }
      } catch (error) {
        if (isPassing(error)) {
          continue;
        }
        refused += 1;
        if ((isLost(error) && !this.#completing) || refused > 3) {
          return this.#end('lost');
        }
        this.#log('heartbeat refused', { trace, job: message.sub, reason: String(error) });
      }
    }
  }

  /** Ends a computation that has said nothing for too long. */
  #watchProgress(): void {
    const computation = this.#computation;
    const silent = performance.now() - (computation?.heardAt ?? performance.now());
    if (computation && !computation.over && silent > 1000 * this.#configuration.stall_limit_s) {
      computation.stop(STALLED);
    }
  }

  /** Asks for a last checkpoint, once. */
  #hurry(reason: typeof SPENT | typeof SHUTDOWN): void {
    if (this.#lastFor) {
      return;
    }
    this.#lastFor = reason;
    this.#computation?.hurry();
    void sleep(LAST_CHUNK_MS, undefined, { signal: this.#over.signal, ref: false }).then(
      () => this.#computation?.stop(reason),
      () => {},
    );
  }
}
