/**
 * A run of a recipe: one object, the only writer of the run's state. Jobs have ids that follow from run, step and place,
 * so that whatever breaks off can be done again without doubling one; every step forward is stored before it is taken,
 * and the alarm takes those that were not.
 */
import { DurableObject } from 'cloudflare:workers';
import { isTerminal } from '../../../shared/contracts/job.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Step } from '../../../shared/contracts/recipe.ts';
import type { RunStatus, RunView, StepError } from '../../../shared/contracts/run.ts';
import { derivedId, randomId } from '../../../shared/signing/digest.ts';
import { newTraceparent } from '../../../shared/signing/traceparent.ts';
import type { Env } from '../../environment.ts';
import { type Answer, answer } from '../../jobs/answer.ts';
import { placeJob } from '../../jobs/creation.ts';
import { EventSubscribers, lastEventId } from '../../jobs/event-subscribers.ts';
import { ledgerOf } from '../../jobs/ledger-of.ts';
import type { AccessKey } from '../../keys/access-key.ts';
import { findKey } from '../../keys/registry.ts';
import { log } from '../../log.ts';
import { takeQuota } from '../../quota/lease.ts';
import { announce } from '../../webhooks/announce.ts';
import { itemsOf, resolveParams, type Sources } from '../recipes/resolve.ts';
import { hasEnded, newSteps, plan, runEnd, type StepState, stepEnd } from './plan.ts';
import { indexRun, unindexRun } from './projection.ts';
import { type Beginning, expiresAt, type RunJob, type RunState, RunStore, runView } from './store.ts';

/** When a run that waits for its jobs looks after them itself: their notices are repeated, so this is a last resort. */
const LOOK_MS = 600_000;
const RETRY_MS = 2_000;

export class Run extends DurableObject<Env> {
  readonly #store: RunStore;
  readonly #subscribers = new EventSubscribers();
  #advancing: Promise<void> | null = null;
  #again = false;
  /** When a key's rate limit lets the next job through. */
  #retryAt: number | null = null;
  /** When the jobs were last looked after without a notice: once more after each restart. */
  #lookedAt = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new RunStore(ctx.storage.sql);
  }

  /** Begins the run; a second call changes nothing. Its first jobs are created by the alarm. */
  async begin(beginning: Beginning): Promise<void> {
    if (this.#store.exists) {
      return;
    }
    const state: RunState = {
      ...beginning,
      status: 'running',
      error: null,
      ended_at: null,
      steps: newSteps(beginning.body),
    };
    this.#store.create(state);
    this.#tell(state);
    await this.ctx.storage.setAlarm(Date.now());
  }

  /** The run as its tenant sees it; null for everyone else. */
  async view(tenant: string): Promise<RunView | null> {
    const state = this.#store.load();
    return state?.tenant === tenant ? runView(state, this.#store.statuses()) : null;
  }

  /** Raises `conflict` for a run that has ended; canceling a canceled run changes nothing. */
  async cancel(tenant: string): Promise<Answer<RunView | null>> {
    return answer(async () => {
      const state = this.#store.load();
      if (state?.tenant !== tenant) {
        return null;
      }
      if (state.status !== 'running' && state.status !== 'canceled') {
        throw new SextantError('conflict', `the run has ${state.status} already`);
      }
      if (state.status === 'running') {
        this.#end(state, 'canceled', null);
      }
      await this.#advance();
      return this.view(tenant);
    });
  }

  /** A ledger's notice that a job of this run has ended. */
  async jobEnded(job: string): Promise<void> {
    // Only noted: the ledger waits for this answer, and following the notice would ask the ledger.
    if (this.#store.exists && this.#store.notice(job)) {
      await this.ctx.storage.setAlarm(Date.now());
    }
  }

  /** The event stream; the route has authenticated the tenant named in the header. */
  override async fetch(request: Request): Promise<Response> {
    const state = this.#store.load();
    if (state?.tenant !== (request.headers.get('x-tenant') ?? '')) {
      return new Response(null, { status: 404 });
    }
    const events = {
      after: (id: number, limit: number) => this.#store.eventsAfter(id, limit),
      ended: () => this.#store.load()?.status !== 'running',
    };
    return this.#subscribers.stream(events, { from: lastEventId(request.headers) });
  }

  /** Forgets everything. */
  async erase(): Promise<void> {
    const state = this.#store.load();
    if (state) {
      await unindexRun(this.env.DB, state.id);
    }
    this.#store.forget();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  override async alarm(): Promise<void> {
    const state = this.#store.load();
    if (!state) {
      return;
    }
    if ((expiresAt(state) ?? Number.POSITIVE_INFINITY) <= Date.now()) {
      return this.erase();
    }
    // whatever breaks off below is taken up again
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    for (const job of this.#store.noticed()) {
      await this.#lookAfter(state, job);
    }
    if (Date.now() - this.#lookedAt >= LOOK_MS) {
      for (const { job, status } of this.#store.statuses()) {
        if (!isEnded(status) && status !== 'planned') {
          await this.#lookAfter(state, job);
        }
      }
      this.#lookedAt = Date.now();
    }
    await this.#advance();
  }

  /** Takes every step that can be taken; one run at a time, and once more where something happened meanwhile. */
  #advance(): Promise<void> {
    if (this.#advancing) {
      this.#again = true;
      return this.#advancing;
    }
    this.#advancing = (async () => {
      do {
        this.#again = false;
        await this.#takeSteps();
      } while (this.#again);
    })().finally(() => {
      this.#advancing = null;
    });
    return this.#advancing;
  }

  async #takeSteps(): Promise<void> {
    try {
      const state = this.#store.load();
      if (!state) {
        return;
      }
      const key = await findKey(this.env, state.key, Date.now());
      if (!key && this.#current().status === 'running') {
        this.#end(this.#current(), 'failed', { code: 'key_revoked', detail: `the key ${state.key} no longer works` });
      }
      if (this.#current().status === 'running' && key) {
        await this.#proceed(key);
      }
      if (this.#current().status !== 'running') {
        await this.#stopJobs();
      }
    } finally {
      await this.#sendOutputs();
    }
  }

  /** Settles steps whose jobs have ended, opens those that can begin, and creates their jobs. */
  async #proceed(key: AccessKey): Promise<void> {
    for (;;) {
      const settled = this.#current().steps.map((step) => this.#settled(step));
      const { steps, ready } = plan(this.#current().body, settled);
      this.#change(steps);
      for (const id of ready) {
        await this.#open(id);
      }
      if (ready.length === 0) {
        break;
      }
    }
    this.#retryAt = null;
    for (const job of this.#store.statuses().filter(({ status }) => status === 'planned')) {
      if (this.#current().status !== 'running') {
        return;
      }
      if (!(await this.#create(key, job))) {
        break;
      }
    }
    // a job that was refused at once may have ended its step
    const state = this.#current();
    const steps = plan(
      state.body,
      state.steps.map((step) => this.#settled(step)),
    ).steps;
    this.#change(steps);
    if (steps.some((step, i) => step.status !== state.steps[i]?.status)) {
      this.#again = true;
    }
    const end = runEnd(steps);
    if (end && this.#current().status === 'running') {
      this.#end(this.#current(), end, firstError(steps));
    }
  }

  #settled(step: StepState): StepState {
    if (step.status !== 'running') {
      return step;
    }
    const end = stepEnd(this.#store.statuses().filter((job) => job.step === step.id));
    return end ? { ...step, ...end } : step;
  }

  #sources(state: RunState): Sources {
    return {
      event: state.event,
      step: (id) => {
        const jobs = this.#store.jobs(id);
        const fanned = state.body.steps.find((step) => step.id === id)?.over !== undefined;
        return jobs.length > 0 && jobs.every((job) => job.outcome)
          ? { fanned, jobs: jobs.flatMap((job) => job.outcome ?? []) }
          : undefined;
      },
    };
  }

  /** Fixes the jobs of a step; a list or value that is not there fails it. */
  async #open(id: string): Promise<void> {
    const state = this.#current();
    const step = stepOf(state, id);
    try {
      const sources = this.#sources(state);
      const items = itemsOf(step, sources);
      for (const item of items) {
        resolveParams(step, { ...sources, item });
      }
      const jobs = await Promise.all(
        items.map(async (item, n) => ({ job: await derivedId('job', [state.id, id, n]), item })),
      );
      this.#store.plan(id, jobs);
      this.#change(this.#current().steps.map((one) => (one.id === id ? { ...one, status: 'running' } : one)));
    } catch (error) {
      if (!(error instanceof SextantError)) {
        throw error;
      }
      const failed = { id, status: 'failed' as const, error: { code: error.code, detail: error.message } };
      this.#change(this.#current().steps.map((one) => (one.id === id ? failed : one)));
    }
  }

  /** Creates a planned job; false where the key's rate limit says to wait. */
  async #create(key: AccessKey, { step: id, n, job }: Omit<RunJob, 'outcome'>): Promise<boolean> {
    const state = this.#current();
    const step = stepOf(state, id);
    try {
      await takeQuota(this.env, key, 'jobs', Date.now());
      const params = resolveParams(step, { ...this.#sources(state), item: this.#store.item(id, n) });
      const { type, timeout_s, max_attempts, max_cost } = step;
      const body = {
        type,
        params,
        timeout_s,
        max_attempts,
        ...(max_cost === undefined ? {} : { max_cost }),
        labels: { run: state.id, step: id },
      };
      await placeJob(this.env, key, {
        id: job,
        body,
        run: state.id,
        request_id: null,
        trace: state.trace ?? newTraceparent(),
      });
      this.#store.setJob(job, 'queued', null, null);
    } catch (error) {
      if (!(error instanceof SextantError)) {
        throw error;
      }
      if (error.code === 'quota_exceeded' || error.code === 'unavailable') {
        this.#retryAt = Date.now() + 1000 * (error.retryAfterS ?? 5);
        return false;
      }
      this.#store.setJob(job, 'failed', { code: error.code, detail: error.message }, null);
    }
    return true;
  }

  /** Takes over what a job's ledger says of it. */
  async #lookAfter(state: RunState, job: string): Promise<void> {
    const view = await ledgerOf(this.env, job).view(state.tenant);
    if (!view) {
      return this.#store.setJob(job, 'failed', { code: 'job_missing', detail: 'the job was deleted' }, null);
    }
    const outcome =
      view.status === 'succeeded'
        ? { result: view.result, artefacts: view.artefacts.map(({ id }) => id), published: view.published }
        : null;
    const error = isTerminal(view.status) && view.error ? { code: view.error.code, detail: view.error.detail } : null;
    this.#store.setJob(job, view.status, error, outcome);
  }

  /** Cancels the jobs of a run that has ended before them. */
  async #stopJobs(): Promise<void> {
    const state = this.#current();
    for (const { job, status } of this.#store.statuses()) {
      if (isEnded(status)) {
        continue;
      }
      // a planned job may stand in its ledger already, where the note of it was lost
      const canceled = await ledgerOf(this.env, job).cancel(state.tenant);
      if (canceled.ok && canceled.value === null) {
        this.#store.setJob(job, 'canceled', null, null);
      } else {
        await this.#lookAfter(state, job);
      }
    }
  }

  #current(): RunState {
    return this.#store.load() as RunState;
  }

  /** Stores the steps and tells the subscribers of those that changed. */
  #change(steps: StepState[]): void {
    const state = this.#current();
    const changed = steps.filter((step, i) => step.status !== state.steps[i]?.status);
    if (changed.length === 0) {
      return;
    }
    this.#store.save({ ...state, steps });
    const at = new Date().toISOString();
    for (const { id, status, error } of changed) {
      this.#store.append('step', { step: id, status, at, error });
    }
    this.#subscribers.tell();
  }

  #end(state: RunState, status: RunStatus, error: StepError | null): void {
    const steps = state.steps.map((step) => (hasEnded(step.status) ? step : { ...step, status: 'canceled' as const }));
    const ended: RunState = { ...state, steps, status, error, ended_at: Date.now() };
    this.#store.save(ended);
    this.#tell(ended);
    this.#subscribers.dismiss();
  }

  /** The run's status, to its subscribers and to the tenant's endpoints. */
  #tell(state: RunState): void {
    const at = new Date().toISOString();
    const { trace, id: run, tenant, error } = state;
    log.info(`run ${state.status}`, { trace, run, tenant, ...(error ? { code: error.code } : {}) });
    this.#store.append('status', { status: state.status, at, error });
    this.#subscribers.tell();
    const type = `run.${state.status === 'running' ? 'started' : state.status}`;
    const data = { id: state.id, status: state.status, hook: state.hook, recipe: state.recipe, version: state.version };
    this.#store.queue(randomId('evt'), type, JSON.stringify({ type, timestamp: at, data }));
  }

  /** Index row and webhooks, each repeated until it is done; then the next alarm. */
  async #sendOutputs(): Promise<void> {
    const state = this.#store.load();
    if (!state) {
      return;
    }
    let behind = false;
    try {
      const { revision, indexed } = this.#store.revisions();
      if (indexed < revision) {
        await indexRun(this.env.DB, state, runView(state, []), revision);
        this.#store.setIndexed(revision);
      }
      for (const { id, type, body } of this.#store.queued()) {
        await announce(this.env, { tenant: state.tenant, id, type, body, trace: state.trace ?? null });
        this.#store.sent(id);
      }
    } catch (error) {
      log.error('a run lets nothing out', { trace: state.trace, run: state.id, reason: String(error) });
      behind = true;
    }
    const now = Date.now();
    const open = this.#store.statuses().some(({ status }) => !isEnded(status));
    const noticed = this.#store.noticed().length > 0 ? now : null;
    const times = [
      noticed,
      behind ? now + RETRY_MS : null,
      this.#retryAt,
      open ? now + LOOK_MS : null,
      expiresAt(state),
    ];
    await this.ctx.storage.setAlarm(Math.min(...times.filter((time) => time !== null), now + LOOK_MS));
  }
}

const isEnded = (status: string): boolean => ['succeeded', 'failed', 'canceled'].includes(status);

const stepOf = (state: RunState, id: string): Step => {
  const step = state.body.steps.find((one) => one.id === id);
  if (!step) {
    throw new Error(`the recipe has no step ${id}`);
  }
  return step;
};

const firstError = (steps: readonly StepState[]): StepError | null =>
  steps.find(({ status }) => status === 'failed' || status === 'canceled')?.error ?? null;
