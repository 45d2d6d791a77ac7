/** What workers ask of a job's ledger: to claim it, and all that the attempt which holds it says until its end. */
import { isTerminal, type Job, type JobError, type Progress } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import type { Checkpoint, Heartbeat } from '../../shared/contracts/worker-call.ts';
import { randomId } from '../../shared/signing/digest.ts';
import type { Caller } from '../../shared/signing/worker-call.ts';
import type { Env } from '../environment.ts';
import { span } from '../span.ts';
import { type Answer, answer } from './answer.ts';
import * as claims from './claims.ts';
import { GeneratedText } from './generated-text.ts';
import type { Claimed, Held } from './held.ts';
import { hostFault, isRefused, passOver, refusal } from './host-faults.ts';
import { type Completion, publishCompletion } from './publish.ts';
import type { JobRecord } from './record.ts';
import type { JobState } from './state.ts';
import * as life from './state.ts';
import { jobView } from './view.ts';

export class AttemptCalls {
  readonly #record: JobRecord;
  readonly #env: Env;
  #text: GeneratedText | null = null;
  #publishing: Promise<void> | null = null;

  constructor(record: JobRecord, env: Env) {
    this.#record = record;
    this.#env = env;
  }

  /** Raises `dispatch_unknown`, `job_terminal`, `job_busy` or `worker_refused`; each tells the worker to drop the message. */
  async claim(
    worker: string,
    dispatch: string,
    process: Pick<life.Claimant, 'nonce' | 'memory_bytes'> = {},
  ): Promise<Answer<Claimed>> {
    return answer(async () => {
      const state = this.#record.advanced();
      if (!state || !this.#record.store.issued(dispatch)) {
        throw new SextantError('dispatch_unknown', 'the ledger of this job issued no such dispatch');
      }
      const now = Date.now();
      const by = { ...process, worker, dispatch };
      if (isRefused(state, by, now)) {
        await this.#record.commit(state, passOver(state, now, randomId('dsp')));
        this.#record.tellDispatcher(state, (dispatcher) => dispatcher.ended(state.id));
        throw refusal();
      }
      const claimant = { ...by, fence: randomId('fence') };
      const next = claims.claim(state, claimant, now, this.#record.timing, () => randomId('dsp'));
      await this.#record.commit(state, next);
      this.#record.tellDispatcher(next, (dispatcher) => dispatcher.claimed(next.id, worker, process.memory_bytes));
      const { fence, number } = next.attempt as life.Attempt;
      return {
        fence,
        attempt: number,
        lease_ms: this.#record.timing.lease_ms,
        remaining_s: life.remainingSeconds(next, now),
        tenant: next.tenant,
        type: next.type,
        params: this.#record.store.params(),
        followed: next.followed ?? false,
        checkpoint: this.#record.store.checkpoint(),
      };
    });
  }

  async heartbeat(by: Caller, progress: Progress | null): Promise<Answer<Heartbeat>> {
    return answer(async () => {
      const state = this.#heldBy(by);
      const { number } = claims.holding(state, by.fence, by.worker);
      if (isTerminal(state.status)) {
        return { cancel: true, spent: false, remaining_s: 0 };
      }
      const now = Date.now();
      await this.#record.commit(state, claims.heartbeat(state, progress, now, this.#record.timing));
      if (progress) {
        const at = new Date(now).toISOString();
        this.#record.store.append('progress', { ...progress, attempt: number, at });
        this.#record.subscribers.tell();
      }
      const spent = await this.#record.spending.isSpent(state, now);
      return { cancel: false, spent, remaining_s: life.remainingSeconds(state, now) };
    });
  }

  /** Takes what an attempt generated to those who follow the job. Raises `fence_stale`, `job_terminal`, and as `GeneratedText`. */
  async tokens(by: Caller, pieces: readonly TokenPiece[]): Promise<Answer<null>> {
    return answer(() => {
      const { number } = claims.holdingAlive(this.#heldBy(by), by.fence, by.worker);
      this.#text ??= new GeneratedText(this.#record.store.told());
      for (const piece of pieces) {
        const fresh = this.#text.add(piece);
        if (fresh) {
          this.#record.store.append('tokens', { ...fresh, attempt: number });
        }
      }
      this.#record.subscribers.tell();
      return null;
    });
  }

  /** The attempt that the caller holds. Raises `fence_stale`, and `job_terminal` when it ended without a result. */
  async held(by: Caller): Promise<Answer<Held>> {
    return answer(() => {
      const state = this.#heldBy(by);
      const { number } = claims.holding(state, by.fence, by.worker);
      const sealed = state.sealed || state.status === 'succeeded';
      if (!sealed) {
        claims.holdingAlive(state, by.fence, by.worker);
      }
      const { tenant, type, input_digest } = state;
      return { tenant, attempt: number, type, input_digest, sealed };
    });
  }

  /** Replaces the checkpoint by one whose uploads were checked and promoted. Raises `fence_stale`, `job_terminal`, `conflict`. */
  async checkpoint(by: Caller, checkpoint: Checkpoint): Promise<Answer<null>> {
    return answer(async () => {
      const state = this.#heldBy(by);
      claims.holdingAlive(state, by.fence, by.worker);
      if (state.sealed) {
        throw new SextantError('conflict', 'the job has its result already');
      }
      this.#record.store.setCheckpoint(checkpoint);
      await this.#record.sendOutputs();
      return null;
    });
  }

  /**
   * Accepts a completion whose uploads were checked and promoted. From here the job can only succeed: publishing is
   * repeated until it is done, and what was published shows together with the status.
   */
  async complete(by: Caller, completion: Completion | null): Promise<Answer<Job>> {
    return answer(async () => {
      const state = this.#heldBy(by);
      claims.holding(state, by.fence, by.worker);
      if (!state.sealed && state.status !== 'succeeded') {
        claims.holdingAlive(state, by.fence, by.worker);
        if (!completion) {
          throw new SextantError('conflict', 'the job has no completion yet');
        }
        this.#record.store.setCompletion(JSON.stringify(completion));
        await this.#record.commit(state, life.seal(state));
      }
      await this.publish();
      return jobView(this.#record.current());
    });
  }

  /** @param host the attempt ended by a fault of its worker's own machine */
  async fail(
    by: Caller,
    error: Omit<JobError, 'attempt'>,
    { retryable, host = false }: { retryable: boolean; host?: boolean },
  ): Promise<Answer<Job>> {
    return answer(async () => {
      const outgrown = error.code === 'memory_exceeded' && (await this.#largerWorkerExists());
      const state = this.#heldBy(by);
      claims.holdingAlive(state, by.fence, by.worker);
      if (state.sealed) {
        throw new SextantError('conflict', 'the job has its result already');
      }
      const [now, dispatch] = [Date.now(), randomId('dsp')];
      const next =
        host || outgrown
          ? hostFault(state, error, { now, dispatch, outgrown })
          : life.fail(state, error, retryable, now, dispatch);
      await this.#record.commit(state, next);
      return jobView(next);
    });
  }

  async release(by: Caller): Promise<Answer<Job>> {
    return answer(async () => {
      const state = this.#heldBy(by);
      claims.holdingAlive(state, by.fence, by.worker);
      if (state.sealed) {
        throw new SextantError('conflict', 'the job has its result already');
      }
      const next = life.release(state, Date.now(), randomId('dsp'));
      await this.#record.commit(state, next);
      return jobView(next);
    });
  }

  /** Publishes a sealed completion once, however many callers and alarms ask for it. */
  publish(): Promise<void> {
    this.#publishing ??= this.#publishNow().finally(() => {
      this.#publishing = null;
    });
    return this.#publishing;
  }

  /** The state, in which the attempt is taken up again where the caller's lease had run out and nobody else has claimed. */
  #heldBy({ fence, worker }: Caller): JobState {
    const state = this.#record.known();
    if (!claims.isLapsed(state, fence, worker)) {
      return state;
    }
    const next = claims.heartbeat(claims.takeUp(state), null, Date.now(), this.#record.timing);
    this.#record.commitBehind(state, next);
    this.#record.tellDispatcher(next, (dispatcher) => dispatcher.claimed(next.id, worker));
    return next;
  }

  /** Whether the pool has lately had a worker with more memory than that of the present attempt. */
  async #largerWorkerExists(): Promise<boolean> {
    const state = this.#record.known();
    const bytes = state.attempt?.memory_bytes;
    return bytes !== undefined && bytes < (await this.#record.outputs.dispatcher(state).largestMemory());
  }

  async #publishNow(): Promise<void> {
    const state = this.#record.current();
    if (!state.sealed) {
      return;
    }
    const completion = JSON.parse(this.#record.store.completion() ?? '') as Completion;
    await span('publish', state.trace, () => publishCompletion(this.#env, state, completion));
    const sealed = this.#record.current();
    this.#record.store.setCompletion(null);
    await this.#record.commit(sealed, life.succeed(sealed, completion.outcome, Date.now()));
  }
}
