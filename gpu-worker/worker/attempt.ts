/** One claimed attempt, from its first heartbeat to its last word. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { SextantError } from '../../shared/contracts/problem.ts';
import {
  type CheckpointRequest,
  type Claim,
  type CompleteRequest,
  heartbeatSchema,
} from '../../shared/contracts/worker-call.ts';
import { type Computation, DISPLACED, type Ending } from './computation.ts';
import { type ComputationFailure, statedError } from './computation-failure.ts';
import type { Written, WrittenCheckpoint } from './computation-messages.ts';
import type { Computations } from './computations.ts';
import type { Configuration } from './configuration.ts';
import { type EdgeCalls, isPassing } from './edge-calls.ts';
import { memoryOf } from './job-memory.ts';
import type { Log } from './log.ts';
import { TokenLine } from './token-line.ts';
import { uploadArtefacts } from './upload.ts';

type ClaimedJob = {
  id: string;
  type: string;
  input_digest: string;
  params: Record<string, unknown>;
  claim: Claim;
  /** Traceparent. */
  trace: string;
};
/** How the attempt ended, for the log; the ledger has been told wherever it can be. */
type AttemptEnd = 'completed' | 'failed' | 'canceled' | 'lost' | 'released';

/** Reasons for which a computation is stopped. */
const CANCELED = 'canceled';
const LOST = 'lost';
const TIMEOUT = 'timeout';
const SHUTDOWN = 'shutdown';
const MEMORY = 'memory';
const SPENT = 'spent';

/** How long a job that has reached a cap may take to its next checkpoint; one that saves none ends then. */
const LAST_CHUNK_MS = 30_000;

const anything = z.unknown();

/** Holds one folder per attempt of this worker. */
export const scratchOf = ({ data, key }: Configuration): string => join(data, 'scratch', key.kid);

export class Attempt {
  readonly #configuration: Configuration;
  readonly #edge: EdgeCalls;
  readonly #job: ClaimedJob;
  readonly #log: Log;
  readonly #computations: Pick<Computations, 'start'>;
  readonly #over = new AbortController();
  /** A cap on device seconds is reached: the next checkpoint is the last. */
  #spent = false;

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
  }

  /** Runs to the end; `shutdown` gives the job back. */
  async run(shutdown: AbortSignal): Promise<AttemptEnd> {
    const { data, device, threads, models, corpora, hubs, memory_limit_bytes, allow_ablated_models } =
      this.#configuration;
    const { type, params, claim } = this.#job;
    const folder = scratchOf(this.#configuration);
    await mkdir(folder, { recursive: true });
    const scratch = await mkdtemp(join(folder, `${this.#job.id}-${claim.attempt}-`));
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
    const owner = claim.owner ?? this.#job.id;
    const memory = await memoryOf(this.#job.id, cache);
    const order = { type, params, inputs, checkpoint, owner, followed, scratch, memory, configuration };
    const refused = (error: unknown) => isLost(error) && computation.stop(LOST);
    const tokens = new TokenLine(this.#edge, { id: this.#job.id, fence }, this.#over.signal, refused);
    const keep = async (written: WrittenCheckpoint): Promise<boolean> => {
      const kept = await this.#keep(written);
      if (kept && this.#spent) {
        computation.stop(SPENT);
      }
      return kept;
    };
    const computation: Computation = this.#computations.start(
      order,
      { keep, tokens: (piece) => tokens.tell(piece) },
      // what failed before fails alone
      { alone: attempt > 1 },
    );
    const giveBack = () => computation.stop(SHUTDOWN);
    shutdown.addEventListener('abort', giveBack);
    if (shutdown.aborted) {
      giveBack();
    }
    const timer = setTimeout(() => computation.stop(TIMEOUT), claim.remaining_s * 1000);
    const beating = this.#keepAlive(computation);
    try {
      const ending = await computation.ended;
      clearTimeout(timer);
      await tokens.drained(claim.lease_ms);
      return await this.#conclude(ending, computation);
    } catch (error) {
      if (isLost(error)) {
        return 'lost';
      }
      throw error;
    } finally {
      clearTimeout(timer);
      this.#over.abort();
      shutdown.removeEventListener('abort', giveBack);
      await beating;
      await rm(scratch, { recursive: true, force: true });
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
      case 'crashed':
        return this.#fail({ code: 'computation_crashed', detail: ending.detail, retryable: true }, models);
      case 'stopped':
        return this.#stopped(ending.reason, models);
    }
  }

  async #stopped(reason: string, models: Computation['models']): Promise<AttemptEnd> {
    const { memory_limit_bytes } = this.#configuration;
    switch (reason) {
      case CANCELED:
        return 'canceled';
      case DISPLACED:
      case SHUTDOWN:
        await this.#post('release', {});
        return 'released';
      case TIMEOUT:
        return this.#fail(
          { code: 'timeout', detail: 'the job used up its timeout_s of running time', retryable: false },
          models,
        );
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
        return 'lost';
    }
  }

  async #complete(written: Written, models: Computation['models']): Promise<AttemptEnd> {
    const { id, claim, input_digest } = this.#job;
    try {
      const artefacts = await uploadArtefacts(this.#edge, id, claim.fence, written.artefacts);
      const { result, metrics, published, run } = written;
      const completion: CompleteRequest = { input_digest, artefacts, published, result, metrics, run, models };
      await this.#post('complete', completion);
      return 'completed';
    } catch (error) {
      if (!(error instanceof SextantError) || isLost(error)) {
        throw error;
      }
      // Bytes that arrived damaged may arrive whole next time; a completion the edge cannot accept never will.
      const damaged = error.code === 'artefact_missing' || error.code === 'artefact_mismatch';
      return this.#fail({ ...statedError(error), retryable: damaged || isPassing(error) }, models);
    }
  }

  /** Whether the edge has taken the checkpoint; a run goes on without. A lost job is noticed by the heartbeat. */
  async #keep({ state, blobs }: WrittenCheckpoint): Promise<boolean> {
    const { id, claim, trace } = this.#job;
    try {
      const listed = await uploadArtefacts(this.#edge, id, claim.fence, blobs);
      const request: CheckpointRequest = { state, blobs: listed };
      await this.#edge.post(`/internal/jobs/${id}/checkpoint`, request, { fence: claim.fence, schema: anything });
      return true;
    } catch (error) {
      this.#log('checkpoint not kept', { trace, job: id, attempt: claim.attempt, reason: String(error) });
      return false;
    }
  }

  async #fail({ retryable, ...error }: ComputationFailure, models: Computation['models']): Promise<AttemptEnd> {
    await this.#post('fail', { error: { ...error, detail: error.detail.slice(0, 2000) }, retryable, models });
    return 'failed';
  }

  /** Tells the ledger, through passing troubles, for as long as the lease can last. */
  async #post(action: 'complete' | 'fail' | 'release', body: unknown): Promise<void> {
    const { id, claim } = this.#job;
    const until = performance.now() + claim.lease_ms;
    for (let pause = 250; ; pause *= 2) {
      try {
        await this.#edge.post(`/internal/jobs/${id}/${action}`, body, { fence: claim.fence, schema: anything });
        return;
      } catch (error) {
        if (!isPassing(error) || performance.now() + pause > until) {
          throw error;
        }
      }
      await sleep(pause);
    }
  }

  /** Heartbeats until the attempt is over; a lease that cannot be renewed is as good as lost. */
  async #keepAlive(computation: Computation): Promise<void> {
    const { id, claim } = this.#job;
    let renewed = performance.now();
    for (;;) {
      await sleep(claim.heartbeat_ms, undefined, { signal: this.#over.signal }).catch(() => {});
      if (this.#over.signal.aborted) {
        return;
      }
      const sent = performance.now();
      try {
        const { cancel, spent } = await this.#edge.post(
          `/internal/jobs/${id}/heartbeat`,
          { progress: computation.takeProgress() },
          { fence: claim.fence, schema: heartbeatSchema, timeout_ms: Math.max(1000, claim.lease_ms / 2) },
        );
        renewed = sent;
        if (cancel) {
          return computation.stop(CANCELED);
        }
        if (spent && !this.#spent) {
          this.#spent = true;
          computation.hurry();
          void sleep(LAST_CHUNK_MS, undefined, { signal: this.#over.signal, ref: false }).then(
            () => computation.stop(SPENT),
            () => {},
          );
        }
      } catch (error) {
        if (isLost(error)) {
          return computation.stop(LOST);
        }
        if (performance.now() - renewed > claim.lease_ms) {
          return computation.stop(LOST);
        }
      }
    }
  }
}

/** The ledger no longer counts on this attempt. */
const isLost = (error: unknown): boolean =>
  error instanceof SextantError && ['fence_stale', 'job_terminal', 'not_found'].includes(error.code);
