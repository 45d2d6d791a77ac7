/**
 * What follows from a job's transitions, on its way out of the ledger: its place in line, its row in the index, the blobs
 * that its checkpoint holds, the news of its end. Each is noted in the ledger's tables until it is done, so that the alarm
 * repeats what got lost; doing any of it again changes nothing.
 */
import type { Env } from '../environment.ts';
import { announce } from '../webhooks/announce.ts';
import { addressQueueName, deliveryQueueOf } from '../webhooks/queue-of.ts';
import { holdBlobs } from './checkpoint.ts';
import { type DispatcherCalls, dispatcherOf } from './dispatcher/dispatcher-of.ts';
import { indexJob } from './projection.ts';
import { tellRun } from './run-notice.ts';
import type { JobSpending } from './spending.ts';
import * as life from './state.ts';
import type { LedgerStore } from './store.ts';

const RETRY_MS = 2_000;
/** A job that has only begun is shown as running in lists a moment later: many have ended by then. */
const BEGINNING_MS = 1_000;
const justBegan = ({ status, attempt }: life.JobState, now: number): boolean =>
  status === 'running' && now < (attempt?.started_at ?? 0) + BEGINNING_MS;

export class LedgerOutputs {
  readonly #env: Env;
  readonly #store: LedgerStore;
  readonly #spending: JobSpending;
  #holding: Promise<void> | null = null;

  constructor(env: Env, store: LedgerStore, spending: JobSpending) {
    this.#env = env;
    this.#store = store;
    this.#spending = spending;
  }

  /** The jobs of a pool's lane wait for their turn there. */
  dispatcher(state: Pick<life.JobState, 'pool' | 'lane'>): DispatcherCalls {
    return dispatcherOf(this.#env, life.lineOf(state));
  }

  /** Begins what is due; failures wait for the next call. */
  begin(timing: life.Timing): Promise<void>[] {
    return [this.#send(timing), this.#index(), this.hold()];
  }

  /** When something has to be done again; null where all of it is done. */
  nextAt(now: number): number | null {
    const { revision, indexed } = this.#store.revisions();
    const checkpoint = this.#store.checkpointRevisions();
    const behind = indexed < revision || (checkpoint !== null && checkpoint.held < checkpoint.revision);
    const news = this.#store.news()?.next_at ?? Number.POSITIVE_INFINITY;
    const next = Math.min(news, behind ? now + RETRY_MS : Number.POSITIVE_INFINITY);
    return Number.isFinite(next) ? next : null;
  }

  /**
   * Keeps what the checkpoint names from being cleaned up, and lets go of what it no longer names. One run at a time, each to
   * the newest revision, so that a late one never undoes a newer one.
   */
  hold(): Promise<void> {
    this.#holding ??= this.#holdNow().finally(() => {
      this.#holding = null;
    });
    return this.#holding;
  }

  /** Tells the job's end to the run that waits for it, to the tenant's endpoints and to the job's own address. */
  async tell(): Promise<void> {
    const news = this.#store.news();
    const state = this.#store.load();
    if (!state || !news || news.next_at === null || news.next_at > Date.now()) {
      return;
    }
    // noted before it is told: what breaks off is told again, and telling twice changes nothing
    this.#store.postponeNews(Date.now() + RETRY_MS);
    const { tenant, id, status, webhook, trace = null } = state;
    const message = { id: news.event_id, type: `job.${status}`, body: news.body, trace };
    await this.dispatcher(state).ended(id);
    await this.#spending.settle(state);
    if (state.run) {
      await tellRun(this.#env, state.run, id);
    }
    await announce(this.#env, { tenant, ...message });
    if (webhook) {
      const queue = deliveryQueueOf(this.#env, await addressQueueName(tenant, webhook));
      await queue.enqueue({ tenant, address: webhook }, { ...message, subject: id });
    }
    this.#store.postponeNews(null);
  }

  async #send(timing: life.Timing): Promise<void> {
    const state = this.#store.load();
    const now = Date.now();
    if (!state || !life.sendIsDue(state, now)) {
      return;
    }
    // Noted before it is sent: a send that fails is then simply due again later.
    this.#store.save(life.sent(state, now, timing), false);
    const { id: job, tenant, estimate_s: cost, created_at: since, dispatch } = state;
    await this.dispatcher(state).enqueue({ job, dispatch: dispatch.id, tenant, cost, since });
  }

  async #index(): Promise<void> {
    const state = this.#store.load();
    if (!state) {
      return;
    }
    const { revision, indexed } = this.#store.revisions();
    if (indexed >= revision || justBegan(state, Date.now())) {
      return;
    }
    await indexJob(this.#env.DB, state, revision);
    this.#store.setIndexed(revision);
  }

  async #holdNow(): Promise<void> {
    for (;;) {
      const state = this.#store.load();
      const checkpoint = state && this.#store.checkpointRevisions();
      if (!checkpoint || checkpoint.held >= checkpoint.revision) {
        return;
      }
      const blobs = this.#store.checkpoint()?.blobs ?? [];
      await holdBlobs(
        this.#env,
        state,
        blobs.map(({ sha256 }) => sha256),
      );
      this.#store.setHeld(checkpoint.revision);
    }
  }
}
