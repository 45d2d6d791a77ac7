/**
 * The ledger: one object per job and the only writer of its state. Every call first lets the time pass that passed, then
 * applies one transition of `state.ts`, stores it, and only then sends what follows from it: queue messages, index rows, webhooks.
 * What got lost on the way out is sent again by the alarm.
 */
import { DurableObject } from 'cloudflare:workers';
import { isTerminal, type Job, type JobError, type Progress } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import type { Checkpoint, Heartbeat } from '../../shared/contracts/worker-call.ts';
import { randomId } from '../../shared/signing/digest.ts';
import type { Caller } from '../../shared/signing/worker-call.ts';
import type { Env } from '../environment.ts';
import { log } from '../log.ts';
import { span } from '../span.ts';
import { type Answer, answer } from './answer.ts';
import * as claims from './claims.ts';
import { sendDispatch } from './dispatch.ts';
import type { DispatcherCalls } from './dispatcher/dispatcher-of.ts';
import { EventSubscribers, lastEventId } from './event-subscribers.ts';
import { GeneratedText } from './generated-text.ts';
import type { Claimed, Held, Resumable } from './held.ts';
import { hostFault, isRefused, passOver, refusal } from './host-faults.ts';
import { LedgerOutputs } from './outputs.ts';
import { type Completion, publishCompletion } from './publish.ts';
import { forgetJob, purgeInputs } from './retention.ts';
import { JobSpending } from './spending.ts';
import type { JobState, Terms } from './state.ts';
import * as life from './state.ts';
import { LedgerStore, type StoredParams } from './store.ts';
import { eventBody, expiresAt, jobView } from './view.ts';

const RETRY_MS = 2_000;
/** A stream whose client may not have gone unnoticed says this often that it is there. */
const FOLLOWED_MS = 500;
/** What is left of a cap has been reserved by jobs that go on: asked again then. */
const LATER_MS = 30_000;
const SPENT = { code: 'spending_cap', detail: "the device seconds of the day, the tenant's or the key's, are used up" };

export class Ledger extends DurableObject<Env> {
  readonly #store: LedgerStore;
  readonly #outputs: LedgerOutputs;
  readonly #spending: JobSpending;
  readonly #subscribers = new EventSubscribers();
  #text: GeneratedText | null = null;
  /** Streams that the job is worth going on for. */
  #followers = 0;
  #publishing: Promise<void> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new LedgerStore(ctx.storage.sql);
    this.#spending = new JobSpending(env);
    this.#outputs = new LedgerOutputs(env, this.#store, this.#spending);
  }

  /** Creates the job, which may go on from another one's checkpoint, and puts it in line; a second call with the same id changes nothing. */
  async create(terms: Terms, params: StoredParams, checkpoint: Checkpoint | null = null): Promise<Job> {
    if (!this.#store.load()) {
      const dispatch = randomId('dsp');
      const state = life.create(terms, dispatch);
      this.#store.create(state, params);
      this.#store.issue(dispatch);
      if (checkpoint) {
        this.#store.setCheckpoint(checkpoint);
      }
      this.#announce(state);
      await this.#sendOutputs();
    }
    return jobView(this.#current());
  }

  /** The job as its tenant sees it; null for everyone else. */
  async view(tenant: string): Promise<Job | null> {
    const state = this.#ofTenant(tenant);
    if (state?.status !== 'queued') {
      return state && jobView(state);
    }
    // a place in line is a courtesy: without it the job is shown all the same
    const queue = await this.#outputs
      .dispatcher(state)
      .place(state.id)
      .catch(() => null);
    return { ...jobView(state), queue };
  }

  /** As `view`, but waits up to `ms` for the job to end. */
  async wait(tenant: string, ms: number): Promise<Job | null> {
    const state = this.#ofTenant(tenant);
    if (state && !isTerminal(state.status)) {
      await this.#subscribers.wait(ms);
    }
    return this.view(tenant);
  }

  async cancel(tenant: string): Promise<Answer<Job | null>> {
    return answer(async () => {
      const state = this.#ofTenant(tenant);
      if (!state) {
        return null;
      }
      const next = life.cancel(state, Date.now());
      await this.#commit(state, next);
      return jobView(next);
    });
  }

  /** What the job was created with; null where the tenant has no such job. */
  async given(tenant: string): Promise<StoredParams | 'purged' | null> {
    const state = this.#ofTenant(tenant);
    return state && (state.purged ? 'purged' : this.#store.params());
  }

  /** The address that the job's creator named for its end; undefined where the tenant has no such job. */
  async webhookOf(tenant: string): Promise<string | null | undefined> {
    return this.#ofTenant(tenant)?.webhook;
  }

  /** The event stream; the route has authenticated the tenant named in the header. */
  override async fetch(request: Request): Promise<Response> {
    const state = this.#ofTenant(request.headers.get('x-tenant') ?? '');
    if (!state) {
      return new Response(null, { status: 404 });
    }
    if (state.abandon_ms !== undefined && !isTerminal(state.status)) {
      this.#followers += 1;
      await this.#commit(state, life.followedAgain(state));
    }
    const events = {
      after: (id: number, limit: number) => this.#store.eventsAfter(id, limit),
      ended: () => isTerminal(this.#store.load()?.status ?? 'canceled'),
    };
    return this.#subscribers.stream(events, {
      from: lastEventId(request.headers),
      ...(state.abandon_ms === undefined ? {} : { keepalive_ms: FOLLOWED_MS, left: () => this.#left() }),
    });
  }

  /** A follower has gone before the end. */
  #left(): void {
    this.#followers -= 1;
    const state = this.#store.load();
    if (state && this.#followers === 0) {
      this.ctx.waitUntil(this.#commit(state, life.abandoned(state, Date.now())));
    }
  }

  /** Forgets a job that has ended; changes nothing for another tenant's, or one that goes on. */
  async erase(tenant: string): Promise<void> {
    const state = this.#ofTenant(tenant);
    if (!state || !isTerminal(state.status)) {
      return;
    }
    await this.#outputs.dispatcher(state).ended(state.id);
    await this.#forget(state);
  }

  /** It is the job's turn: its message goes onto the queue. False where this dispatch does not wait any more. */
  async dispatch(dispatch: string): Promise<boolean> {
    const state = this.#advanced();
    if (state?.status !== 'queued' || state.dispatch.id !== dispatch) {
      return false;
    }
    const reservation = await this.#spending.reserve(state);
    if (reservation === 'granted') {
      await span('dispatch', state.trace, () => sendDispatch(this.env, state, this.#store.params(), Date.now()));
      log.info('job sent', { trace: state.trace, job: state.id, dispatch });
      return true;
    }
    const current = this.#current();
    if (current.status === 'queued' && current.dispatch.id === dispatch) {
      const next =
        reservation === 'spent'
          ? life.fail(current, SPENT, false, Date.now(), '')
          : life.postpone(current, Date.now() + LATER_MS);
      await this.#commit(current, next);
    }
    return false;
  }

  /** What another job needs to go on from where this one was stopped by a cap. Raises `conflict` where it was not. */
  async resumable(tenant: string): Promise<Answer<Resumable | null>> {
    return answer(() => {
      const state = this.#ofTenant(tenant);
      if (state && (!life.isResumable(state) || state.purged)) {
        throw new SextantError(
          'conflict',
          'only a job that failed with spending_cap, and has its params still, is resumed',
        );
      }
      const [params, checkpoint] = state ? [this.#store.params(), this.#store.checkpoint()] : [];
      return state && params ? { state, params, checkpoint: checkpoint ?? null } : null;
    });
  }

  /** Another job has taken the checkpoint over. */
  async resumed(by: string): Promise<void> {
    const state = this.#current();
    if (life.isResumable(state)) {
      this.#store.save({ ...state, resumed_by: by }, false);
      this.#store.dropCheckpoint();
      await this.#sendOutputs();
    }
  }

  /** Raises `dispatch_unknown`, `job_terminal`, `job_busy` or `worker_refused`; each tells the worker to drop the message. */
  async claim(
    worker: string,
    dispatch: string,
    process: Pick<life.Claimant, 'nonce' | 'memory_bytes'> = {},
  ): Promise<Answer<Claimed>> {
    return answer(async () => {
      const state = this.#advanced();
      if (!state || !this.#store.issued(dispatch)) {
        throw new SextantError('dispatch_unknown', 'the ledger of this job issued no such dispatch');
      }
      const now = Date.now();
      const by = { ...process, worker, dispatch };
      if (isRefused(state, by, now)) {
        await this.#commit(state, passOver(state, now, randomId('dsp')));
        this.#tell(state, (dispatcher) => dispatcher.ended(state.id));
        throw refusal();
      }
      const claimant = { ...by, fence: randomId('fence') };
      const next = claims.claim(state, claimant, now, this.#timing, () => randomId('dsp'));
      await this.#commit(state, next);
      this.#tell(next, (dispatcher) => dispatcher.claimed(next.id, worker, process.memory_bytes));
      const { fence, number } = next.attempt as life.Attempt;
      return {
        fence,
        attempt: number,
        lease_ms: this.#timing.lease_ms,
        remaining_s: life.remainingSeconds(next, now),
        tenant: next.tenant,
        type: next.type,
        params: this.#store.params(),
        followed: next.followed ?? false,
        checkpoint: this.#store.checkpoint(),
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
      await this.#commit(state, claims.heartbeat(state, progress, now, this.#timing));
      if (progress) {
        const at = new Date(now).toISOString();
        this.#store.append('progress', { ...progress, attempt: number, at });
        this.#subscribers.tell();
      }
      const spent = await this.#spending.isSpent(state, now);
      return { cancel: false, spent, remaining_s: life.remainingSeconds(state, now) };
    });
  }

  /** Takes what an attempt generated to those who follow the job. Raises `fence_stale`, `job_terminal`, and as `GeneratedText`. */
  async tokens(by: Caller, pieces: readonly TokenPiece[]): Promise<Answer<null>> {
    return answer(() => {
      const { number } = claims.holdingAlive(this.#heldBy(by), by.fence, by.worker);
      this.#text ??= new GeneratedText(this.#store.told());
      for (const piece of pieces) {
        const fresh = this.#text.add(piece);
        if (fresh) {
          this.#store.append('tokens', { ...fresh, attempt: number });
        }
      }
      this.#subscribers.tell();
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
      this.#store.setCheckpoint(checkpoint);
      await this.#sendOutputs();
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
        this.#store.setCompletion(JSON.stringify(completion));
        await this.#commit(state, life.seal(state));
      }
      await this.#publish();
      return jobView(this.#current());
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
      await this.#commit(state, next);
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
      await this.#commit(state, next);
      return jobView(next);
    });
  }

  /** The queue gave up a message whose signature verified. */
  async deadLetter(dispatch: string): Promise<void> {
    const state = this.#advanced();
    if (state) {
      await this.#commit(state, life.deadLetter(state, dispatch, Date.now()));
    }
  }

  override async alarm(): Promise<void> {
    const state = this.#advanced();
    if (!state) {
      return;
    }
    if ((expiresAt(state) ?? Number.POSITIVE_INFINITY) <= Date.now()) {
      return this.#forget(state);
    }
    if ((life.purgeAt(state) ?? Number.POSITIVE_INFINITY) <= Date.now()) {
      await purgeInputs(this.env, this.#store, state);
    }
    if (state.sealed) {
      await this.#publish().catch((error: unknown) => trouble(state, error));
    }
    await this.#sendOutputs();
    await this.#outputs.tell().catch((error: unknown) => trouble(state, error));
    await this.#arm();
  }

  get #timing(): life.Timing {
    return { lease_ms: Number(this.env.LEASE_MS), resend_ms: Number(this.env.RESEND_MS) };
  }

  /** The state after the passing of time was applied and stored; null where there is no job. */
  #advanced(): JobState | null {
    const state = this.#store.load();
    if (!state) {
      return null;
    }
    const next = life.advance(state, Date.now(), () => randomId('dsp'));
    if (next === state) {
      return state;
    }
    this.#put(state, next);
    this.ctx.waitUntil(this.#sendOutputs());
    return next;
  }

  /** As `#known`, where the caller's lease had run out and nobody else has claimed meanwhile: with the attempt taken up again. */
  #heldBy({ fence, worker }: Caller): JobState {
    const state = this.#known();
    if (!claims.isLapsed(state, fence, worker)) {
      return state;
    }
    const next = claims.heartbeat(claims.takeUp(state), null, Date.now(), this.#timing);
    this.#put(state, next);
    this.ctx.waitUntil(this.#sendOutputs());
    this.#tell(next, (dispatcher) => dispatcher.claimed(next.id, worker));
    return next;
  }

  /** Whether the pool has lately had a worker with more memory than that of the present attempt. */
  async #largerWorkerExists(): Promise<boolean> {
    const state = this.#known();
    const bytes = state.attempt?.memory_bytes;
    return bytes !== undefined && bytes < (await this.#outputs.dispatcher(state).largestMemory());
  }

  /** Tells the pool's dispatcher behind the caller's back. */
  #tell(state: JobState, what: (dispatcher: DispatcherCalls) => Promise<void>): void {
    this.ctx.waitUntil(what(this.#outputs.dispatcher(state)).catch((error: unknown) => trouble(state, error)));
  }

  #known(): JobState {
    const state = this.#advanced();
    if (!state) {
      throw new SextantError('not_found', 'there is no such job');
    }
    return state;
  }

  #current(): JobState {
    return this.#store.load() as JobState;
  }

  #ofTenant(tenant: string): JobState | null {
    const state = this.#advanced();
    return state?.tenant === tenant ? state : null;
  }

  async #commit(from: JobState, to: JobState): Promise<void> {
    if (to === from) {
      return;
    }
    this.#put(from, to);
    await this.#sendOutputs();
  }

  /** Stores a transition and tells the subscribers. */
  #put(from: JobState, to: JobState): void {
    const turned = to.status !== from.status || to.claims !== from.claims;
    this.#store.save(to, turned);
    if (to.dispatch.id !== from.dispatch.id) {
      this.#store.issue(to.dispatch.id);
    }
    if (isTerminal(to.status) && !life.isResumable(to)) {
      this.#store.dropCheckpoint();
    }
    if (turned) {
      this.#announce(to);
    }
  }

  #announce(state: JobState): void {
    const at = new Date().toISOString();
    const { status, error, claims, trace, id: job, tenant } = state;
    log.info(`job ${status}`, { trace, job, tenant, attempt: claims, ...(error ? { code: error.code } : {}) });
    this.#store.append('status', { status, attempt: claims, at, error });
    this.#subscribers.tell();
    if (!isTerminal(status)) {
      return;
    }
    this.#subscribers.dismiss();
    this.#store.queueNews(randomId('evt'), eventBody(state, at), Date.now());
  }

  /** Sends what is due and sets the alarm for what is not; failures wait for the alarm and never reach the caller. */
  async #sendOutputs(): Promise<void> {
    const outputs = this.#outputs.begin(this.#timing);
    await this.#arm();
    for (const result of await Promise.allSettled(outputs)) {
      if (result.status === 'rejected') {
        trouble(this.#store.load(), result.reason);
      }
    }
  }

  async #arm(): Promise<void> {
    const state = this.#store.load();
    if (!state) {
      return;
    }
    const now = Date.now();
    const times = [
      life.nextChange(state),
      expiresAt(state),
      life.purgeAt(state),
      this.#outputs.nextAt(now),
      state.sealed ? now + RETRY_MS : null,
    ].filter((time) => time !== null);
    if (times.length > 0) {
      await this.ctx.storage.setAlarm(Math.max(now, Math.min(...times)));
    }
  }

  /** Publishes a sealed completion once, however many callers and alarms ask for it. */
  #publish(): Promise<void> {
    this.#publishing ??= this.#publishNow().finally(() => {
      this.#publishing = null;
    });
    return this.#publishing;
  }

  async #publishNow(): Promise<void> {
    const state = this.#current();
    if (!state.sealed) {
      return;
    }
    const completion = JSON.parse(this.#store.completion() ?? '') as Completion;
    await span('publish', state.trace, () => publishCompletion(this.env, state, completion));
    const sealed = this.#current();
    this.#store.setCompletion(null);
    await this.#commit(sealed, life.succeed(sealed, completion.outcome, Date.now()));
  }

  async #forget(state: JobState): Promise<void> {
    await forgetJob(this.env, this.#store, this.#outputs, state);
    await this.ctx.storage.deleteAll();
  }
}

/** What will be tried again. */
const trouble = (state: JobState | null, error: unknown): void =>
  log.error('a job waits', { trace: state?.trace, job: state?.id, reason: String(error) });
