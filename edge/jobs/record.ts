/**
 * The record of one job: its stored state, and what follows from every change of it. A change is stored first, and only then
 * is sent what it brings about: queue messages, index rows, webhooks. What got lost on the way out the alarm sends again.
 */
import { isTerminal } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Checkpoint } from '../../shared/contracts/worker-call.ts';
import { randomId } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';
import { log } from '../log.ts';
import type { DispatcherCalls } from './dispatcher/dispatcher-of.ts';
import { EventSubscribers } from './event-subscribers.ts';
import { LedgerOutputs } from './outputs.ts';
import { JobSpending } from './spending.ts';
import type { JobState, Terms } from './state.ts';
import * as life from './state.ts';
import { LedgerStore, type StoredParams } from './store.ts';
import { eventBody, expiresAt } from './view.ts';

const RETRY_MS = 2_000;

export class JobRecord {
  readonly store: LedgerStore;
  readonly spending: JobSpending;
  readonly outputs: LedgerOutputs;
  readonly subscribers = new EventSubscribers();
  readonly #ctx: DurableObjectState;
  readonly #env: Env;

  constructor(ctx: DurableObjectState, env: Env) {
    this.#ctx = ctx;
    this.#env = env;
    this.store = new LedgerStore(ctx.storage.sql);
    this.spending = new JobSpending(env);
    this.outputs = new LedgerOutputs(env, this.store, this.spending);
  }

  get timing(): life.Timing {
    return { lease_ms: Number(this.#env.LEASE_MS), resend_ms: Number(this.#env.RESEND_MS) };
  }

  /** Begins the job and puts it in line; a second call with the same id changes nothing. */
  async create(terms: Terms, params: StoredParams, checkpoint: Checkpoint | null): Promise<void> {
    if (this.store.load()) {
      return;
    }
    const dispatch = randomId('dsp');
    const state = life.create(terms, dispatch);
    this.store.create(state, params);
    this.store.issue(dispatch);
    if (checkpoint) {
      this.store.setCheckpoint(checkpoint);
    }
    this.#announce(state);
    await this.sendOutputs();
  }

  /** The state after the passing of time was applied and stored; null where there is no job. */
  advanced(): JobState | null {
    const state = this.store.load();
    if (!state) {
      return null;
    }
    const next = life.advance(state, Date.now(), () => randomId('dsp'));
    this.commitBehind(state, next);
    return next;
  }

  /** As `advanced`. Raises `not_found` where there is no job. */
  known(): JobState {
    const state = this.advanced();
    if (!state) {
      throw new SextantError('not_found', 'there is no such job');
    }
    return state;
  }

  /** As `advanced`; null for everybody but the job's tenant. */
  ofTenant(tenant: string): JobState | null {
    const state = this.advanced();
    return state?.tenant === tenant ? state : null;
  }

  /** The state as it is stored, of a job that is known to be there. */
  current(): JobState {
    return this.store.load() as JobState;
  }

  /** Stores a transition and sends what follows from it. */
  async commit(from: JobState, to: JobState): Promise<void> {
    if (to !== from) {
      this.#put(from, to);
      await this.sendOutputs();
    }
  }

  /** As `commit`, but what follows is sent behind the caller's back. */
  commitBehind(from: JobState, to: JobState): void {
    if (to !== from) {
      this.#put(from, to);
      this.#ctx.waitUntil(this.sendOutputs());
    }
  }

  /** Sends what is due and sets the alarm for what is not; failures wait for the alarm and never reach the caller. */
  async sendOutputs(): Promise<void> {
    const outputs = this.outputs.begin(this.timing);
    await this.arm();
    for (const result of await Promise.allSettled(outputs)) {
      if (result.status === 'rejected') {
        trouble(this.store.load(), result.reason);
      }
    }
  }

  /** Sets the alarm for what comes next. */
  async arm(): Promise<void> {
    const state = this.store.load();
    if (!state) {
      return;
    }
    const now = Date.now();
    const times = [
      life.nextChange(state),
      expiresAt(state),
      life.purgeAt(state),
      this.outputs.nextAt(now),
      state.sealed ? now + RETRY_MS : null,
    ].filter((time) => time !== null);
    if (times.length > 0) {
      await this.#ctx.storage.setAlarm(Math.max(now, Math.min(...times)));
    }
  }

  /** Tells the pool's dispatcher behind the caller's back. */
  tellDispatcher(state: JobState, what: (dispatcher: DispatcherCalls) => Promise<void>): void {
    this.#ctx.waitUntil(what(this.outputs.dispatcher(state)).catch((error: unknown) => trouble(state, error)));
  }

  /** Stores a transition and tells the subscribers. */
  #put(from: JobState, to: JobState): void {
    const turned = to.status !== from.status || to.claims !== from.claims;
    this.store.save(to, turned);
    if (to.dispatch.id !== from.dispatch.id) {
      this.store.issue(to.dispatch.id);
    }
    if (isTerminal(to.status) && !life.isResumable(to)) {
      this.store.dropCheckpoint();
    }
    if (turned) {
      this.#announce(to);
    }
  }

  #announce(state: JobState): void {
    const at = new Date().toISOString();
    const { status, error, claims, trace, id: job, tenant } = state;
    log.info(`job ${status}`, { trace, job, tenant, attempt: claims, ...(error ? { code: error.code } : {}) });
    this.store.append('status', { status, attempt: claims, at, error });
    this.subscribers.tell();
    if (!isTerminal(status)) {
      return;
    }
    this.subscribers.dismiss();
    this.store.queueNews(randomId('evt'), eventBody(state, at), Date.now());
  }
}

/** What will be tried again. */
export const trouble = (state: JobState | null, error: unknown): void =>
  log.error('a job waits', { trace: state?.trace, job: state?.id, reason: String(error) });
