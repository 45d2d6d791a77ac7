/**
 * The ledger: one object per job and the only writer of its state. Every call first lets the time pass that passed, then
 * applies one transition of `state.ts` to the job's record, which sends what follows from it. Here is what clients, the
 * dispatcher and time ask; what workers ask is in `attempt-calls.ts`.
 */
import { DurableObject } from 'cloudflare:workers';
import { isTerminal, type Job } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Checkpoint } from '../../shared/contracts/worker-call.ts';
import type { Env } from '../environment.ts';
import { log } from '../log.ts';
import { span } from '../span.ts';
import { type Answer, answer } from './answer.ts';
import { AttemptCalls } from './attempt-calls.ts';
import { sendDispatch } from './dispatch.ts';
import { lastEventId } from './event-subscribers.ts';
import type { Resumable } from './held.ts';
import { JobRecord, trouble } from './record.ts';
import { forgetJob, purgeInputs } from './retention.ts';
import type { JobState, Terms } from './state.ts';
import * as life from './state.ts';
import type { StoredParams } from './store.ts';
import { expiresAt, jobView } from './view.ts';

/** A stream whose client may not have gone unnoticed says this often that it is there. */
const FOLLOWED_MS = 500;
/** What is left of a cap has been reserved by jobs that go on: asked again then. */
const LATER_MS = 30_000;
const SPENT = { code: 'spending_cap', detail: "the device seconds of the day, the tenant's or the key's, are used up" };

export class Ledger extends DurableObject<Env> {
  readonly #record: JobRecord;
  readonly #attempts: AttemptCalls;
  /** Streams that the job is worth going on for. */
  #followers = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#record = new JobRecord(ctx, env);
    this.#attempts = new AttemptCalls(this.#record, env);
  }

  /** Creates the job, which may go on from another one's checkpoint, and puts it in line; a second call with the same id changes nothing. */
  async create(terms: Terms, params: StoredParams, checkpoint: Checkpoint | null = null): Promise<Job> {
    await this.#record.create(terms, params, checkpoint);
    return jobView(this.#record.current());
  }

  /** The job as its tenant sees it; null for everyone else. */
  async view(tenant: string): Promise<Job | null> {
    const state = this.#record.ofTenant(tenant);
    if (state?.status !== 'queued') {
      return state && jobView(state);
    }
    // a place in line is a courtesy: without it the job is shown all the same
    const queue = await this.#record.outputs
      .dispatcher(state)
      .place(state.id)
      .catch(() => null);
    return { ...jobView(state), queue };
  }

  /** As `view`, but waits up to `ms` for the job to end. */
  async wait(tenant: string, ms: number): Promise<Job | null> {
    const state = this.#record.ofTenant(tenant);
    if (state && !isTerminal(state.status)) {
      await this.#record.subscribers.wait(ms);
    }
    return this.view(tenant);
  }

  async cancel(tenant: string): Promise<Answer<Job | null>> {
    return answer(async () => {
      const state = this.#record.ofTenant(tenant);
      if (!state) {
        return null;
      }
      const next = life.cancel(state, Date.now());
      await this.#record.commit(state, next);
      return jobView(next);
    });
  }

  /** What the job was created with; null where the tenant has no such job. */
  async given(tenant: string): Promise<StoredParams | 'purged' | null> {
    const state = this.#record.ofTenant(tenant);
    return state && (state.purged ? 'purged' : this.#record.store.params());
  }

  /** The address that the job's creator named for its end; undefined where the tenant has no such job. */
  async webhookOf(tenant: string): Promise<string | null | undefined> {
    return this.#record.ofTenant(tenant)?.webhook;
  }

  /** The event stream; the route has authenticated the tenant named in the header. */
  override async fetch(request: Request): Promise<Response> {
    const state = this.#record.ofTenant(request.headers.get('x-tenant') ?? '');
    if (!state) {
      return new Response(null, { status: 404 });
    }
    if (state.abandon_ms !== undefined && !isTerminal(state.status)) {
      this.#followers += 1;
      await this.#record.commit(state, life.followedAgain(state));
    }
    const events = {
      after: (id: number, limit: number) => this.#record.store.eventsAfter(id, limit),
      ended: () => isTerminal(this.#record.store.load()?.status ?? 'canceled'),
    };
    return this.#record.subscribers.stream(events, {
      from: lastEventId(request.headers),
      ...(state.abandon_ms === undefined ? {} : { keepalive_ms: FOLLOWED_MS, left: () => this.#left() }),
    });
  }

  /** A follower has gone before the end. */
  #left(): void {
    this.#followers -= 1;
    const state = this.#record.store.load();
    if (state && this.#followers === 0) {
      this.ctx.waitUntil(this.#record.commit(state, life.abandoned(state, Date.now())));
    }
  }

  /** Forgets a job that has ended; changes nothing for another tenant's, or one that goes on. */
  async erase(tenant: string): Promise<void> {
    const state = this.#record.ofTenant(tenant);
    if (!state || !isTerminal(state.status)) {
      return;
    }
    await this.#record.outputs.dispatcher(state).ended(state.id);
    await this.#forget(state);
  }

  /** It is the job's turn: its message goes onto the queue. False where this dispatch does not wait any more. */
  async dispatch(dispatch: string): Promise<boolean> {
    const state = this.#record.advanced();
    if (state?.status !== 'queued' || state.dispatch.id !== dispatch) {
      return false;
    }
    const reservation = await this.#record.spending.reserve(state);
    if (reservation === 'granted') {
      await span('dispatch', state.trace, () => sendDispatch(this.env, state, this.#record.store.params(), Date.now()));
      log.info('job sent', { trace: state.trace, job: state.id, dispatch });
      return true;
    }
    const current = this.#record.current();
    if (current.status === 'queued' && current.dispatch.id === dispatch) {
      const next =
        reservation === 'spent'
          ? life.fail(current, SPENT, false, Date.now(), '')
          : life.postpone(current, Date.now() + LATER_MS);
      await this.#record.commit(current, next);
    }
    return false;
  }

  /** What another job needs to go on from where this one was stopped by a cap. Raises `conflict` where it was not. */
  async resumable(tenant: string): Promise<Answer<Resumable | null>> {
    return answer(() => {
      const state = this.#record.ofTenant(tenant);
      if (state && (!life.isResumable(state) || state.purged)) {
        throw new SextantError(
          'conflict',
          'only a job that failed with spending_cap, and has its params still, is resumed',
        );
      }
      const [params, checkpoint] = state ? [this.#record.store.params(), this.#record.store.checkpoint()] : [];
      return state && params ? { state, params, checkpoint: checkpoint ?? null } : null;
    });
  }

  /** Another job has taken the checkpoint over. */
  async resumed(by: string): Promise<void> {
    const state = this.#record.current();
    if (life.isResumable(state)) {
      this.#record.store.save({ ...state, resumed_by: by }, false);
      this.#record.store.dropCheckpoint();
      await this.#record.sendOutputs();
    }
  }

  claim(...of: Parameters<AttemptCalls['claim']>): ReturnType<AttemptCalls['claim']> {
    return this.#attempts.claim(...of);
  }
  heartbeat(...of: Parameters<AttemptCalls['heartbeat']>): ReturnType<AttemptCalls['heartbeat']> {
    return this.#attempts.heartbeat(...of);
  }
  tokens(...of: Parameters<AttemptCalls['tokens']>): ReturnType<AttemptCalls['tokens']> {
    return this.#attempts.tokens(...of);
  }
  held(...of: Parameters<AttemptCalls['held']>): ReturnType<AttemptCalls['held']> {
    return this.#attempts.held(...of);
  }
  checkpoint(...of: Parameters<AttemptCalls['checkpoint']>): ReturnType<AttemptCalls['checkpoint']> {
    return this.#attempts.checkpoint(...of);
  }
  complete(...of: Parameters<AttemptCalls['complete']>): ReturnType<AttemptCalls['complete']> {
    return this.#attempts.complete(...of);
  }
  fail(...of: Parameters<AttemptCalls['fail']>): ReturnType<AttemptCalls['fail']> {
    return this.#attempts.fail(...of);
  }
  release(...of: Parameters<AttemptCalls['release']>): ReturnType<AttemptCalls['release']> {
    return this.#attempts.release(...of);
  }

  /** The queue gave up a message whose signature verified. */
  async deadLetter(dispatch: string): Promise<void> {
    const state = this.#record.advanced();
    if (state) {
      await this.#record.commit(state, life.deadLetter(state, dispatch, Date.now()));
    }
  }

  override async alarm(): Promise<void> {
    const state = this.#record.advanced();
    if (!state) {
      return;
    }
    if ((expiresAt(state) ?? Number.POSITIVE_INFINITY) <= Date.now()) {
      return this.#forget(state);
    }
    if ((life.purgeAt(state) ?? Number.POSITIVE_INFINITY) <= Date.now()) {
      await purgeInputs(this.env, this.#record.store, state);
    }
    if (state.sealed) {
      await this.#attempts.publish().catch((error: unknown) => trouble(state, error));
    }
    await this.#record.sendOutputs();
    await this.#record.outputs.tell().catch((error: unknown) => trouble(state, error));
    await this.#record.arm();
  }

  async #forget(state: JobState): Promise<void> {
    await forgetJob(this.env, this.#record.store, this.#record.outputs, state);
    await this.ctx.storage.deleteAll();
  }
}
