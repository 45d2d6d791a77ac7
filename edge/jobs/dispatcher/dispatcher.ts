/**
 * One object per pool and lane: jobs wait here and not in the lane's queue, which holds at most one unclaimed message per live
 * worker, or four where workers take several jobs at a time. So whoever comes is served in turn, however many jobs of another tenant came before, and waiting multiplies no
 * messages. Everything is stored before it is sent; the alarm sends again what got lost.
 */
import { DurableObject } from 'cloudflare:workers';
import { ANNOUNCE_MS } from '../../../shared/contracts/worker-call.ts';
import type { Env } from '../../environment.ts';
import { log } from '../../log.ts';
import { ledgerOf } from '../ledger-of.ts';
import { Bells } from './bells.ts';
import { isInteractive } from './dispatcher-of.ts';
import type { Place, PoolState } from './place.ts';
import { DispatcherStore, type Waiting } from './store.ts';
import { nextTurn } from './turns.ts';
import { WorkerMemories } from './worker-memories.ts';

/** A worker that missed three announcements is not counted on. */
const LIVE_MS = 3 * ANNOUNCE_MS;
const RETRY_MS = 2_000;
const LONGEST_RESEND_MS = 3_600_000;
/** Messages that one turn sends side by side. */
const SENDS_AT_ONCE = 6;
/** Unclaimed messages of the lane interactive for each live worker, which takes several jobs at a time; of the others one. */
const INTERACTIVE_MESSAGES = 4;

export class Dispatcher extends DurableObject<Env> {
  readonly #store: DispatcherStore;
  readonly #bells: Bells;
  readonly #memories: WorkerMemories;
  #pumping: Promise<void> | null = null;
  #again = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new DispatcherStore(ctx.storage.sql);
    this.#bells = new Bells(ctx);
    this.#memories = new WorkerMemories(ctx.storage.sql);
  }

  /** Puts jobs in line; saying it again changes nothing. */
  async enqueue(...jobs: Waiting[]): Promise<void> {
    for (const job of jobs) {
      this.#store.wait(job);
    }
    await this.#soon();
  }

  /** A worker has claimed the job, and may have said what a computation may take there. */
  async claimed(job: string, worker: string, memory_bytes?: number): Promise<void> {
    this.#store.claimed(job, worker);
    if (memory_bytes !== undefined) {
      this.#memories.note(worker, memory_bytes, Date.now());
    }
    await this.#soon();
  }

  /** The most memory of a worker that claimed lately, in bytes; 0 where none has. */
  largestMemory(): number {
    return this.#memories.largest(Date.now());
  }

  /** The job has ended, or waits no longer. */
  async ended(job: string): Promise<void> {
    this.#store.remove(job);
    await this.#soon();
  }

  /** A worker is there: idle, or with this job in hand. */
  async announce(worker: string, job: string | null): Promise<void> {
    this.#store.seen(worker, job, Date.now());
    await this.#soon();
  }

  /** A worker's bell; the route has checked who asks, and names it in the header. */
  override async fetch(request: Request): Promise<Response> {
    const worker = request.headers.get('x-worker') ?? '';
    const answer = this.#bells.open(worker, Date.now());
    await this.announce(worker, null);
    return answer;
  }

  override async webSocketMessage(socket: WebSocket, text: string | ArrayBuffer): Promise<void> {
    const said = this.#bells.heard(socket, text, Date.now());
    if (said?.leaving) {
      this.leave(said.worker);
    } else if (said) {
      await this.announce(said.worker, said.job);
    }
  }

  /** A worker goes: nothing more is sent on its account. */
  leave(worker: string): void {
    this.#store.gone(worker);
  }

  /** Forgets a tenant that is being deleted. */
  forget(tenant: string): void {
    this.#store.forget(tenant);
  }

  /** Where a job stands in line; null where it does not wait here. */
  place(job: string): Place | null {
    const ahead = this.#store.ahead(job);
    if (!ahead) {
      return null;
    }
    const { live } = this.#store.workers(Date.now() - LIVE_MS);
    const start = live > 0 ? Date.now() + (1000 * ahead.seconds) / live : null;
    return { ahead: ahead.jobs, expected_start: start === null ? null : new Date(start).toISOString() };
  }

  state(): PoolState {
    const now = Date.now();
    const { waiting, sent, running, oldest } = this.#store.counts();
    const { live } = this.#store.workers(now - LIVE_MS);
    return { waiting, sent, running, workers: live, oldest_wait_s: oldest === null ? 0 : (now - oldest) / 1000 };
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    await this.#pump();
  }

  /** Sends behind the caller's back, who waits for its own row alone; the alarm stands in where that breaks off. */
  async #soon(): Promise<void> {
    const now = Date.now();
    const alarm = await this.ctx.storage.getAlarm();
    if (alarm === null || alarm > now + RETRY_MS) {
      await this.ctx.storage.setAlarm(now + RETRY_MS);
    }
    this.ctx.waitUntil(this.#pump());
  }

  /** One at a time; once more where something changed meanwhile. */
  #pump(): Promise<void> {
    this.#again = true;
    this.#pumping ??= (async () => {
      while (this.#again) {
        this.#again = false;
        await this.#sendAll();
      }
    })().finally(() => {
      this.#pumping = null;
    });
    return this.#pumping;
  }

  async #sendAll(): Promise<void> {
    const now = Date.now();
    this.#store.takeBack(now);
    const { live, idle_since } = this.#store.workers(now - LIVE_MS);
    await this.#resendLost(now, idle_since);
    for (;;) {
      const free = Math.min(SENDS_AT_ONCE, this.#messagesOf(live) - this.#store.sent().length);
      const sends: Promise<boolean>[] = [];
      for (let i = 0; i < free; i += 1) {
        const tenants = this.#store.inLine();
        const turn = nextTurn(tenants, Number(this.env.TENANT_CONCURRENCY));
        const head = turn && tenants.find(({ tenant }) => tenant === turn.tenant);
        if (!turn || !head) {
          break;
        }
        this.#store.send(head.job, turn, now);
        sends.push(this.#send(head.job, head.dispatch));
      }
      if (sends.length === 0) {
        break;
      }
      if (!(await Promise.all(sends)).every(Boolean)) {
        break;
      }
    }
    this.#store.tidy();
    await this.#arm(idle_since);
  }

  #messagesOf(live: number): number {
    return live * (isInteractive(this.ctx.id.name) ? INTERACTIVE_MESSAGES : 1);
  }

  /** Sends one message; false where it could not be and waits again. */
  async #send(job: string, dispatch: string): Promise<boolean> {
    try {
      if (await ledgerOf(this.env, job).dispatch(dispatch)) {
        const since = Date.now() - LIVE_MS;
        const idle = this.#store.idle(since);
        // A worker may have room for more than one job; where it has none, the ring is nothing to it.
        this.#bells.ring(idle.size > 0 ? idle : this.#store.live(since), Date.now());
      } else {
        this.#store.remove(job);
      }
      return true;
    } catch (error) {
      log.error('a dispatch could not be sent', { job, reason: String(error) });
      this.#store.unsend(job);
      return false;
    }
  }

  /** A message that nobody claims while a worker has nothing to do was lost on the way. */
  async #resendLost(now: number, idle_since: number | null): Promise<void> {
    if (idle_since === null) {
      return;
    }
    for (const { job, dispatch, sends, sent_at } of this.#store.sent()) {
      if (now < this.#dueAgain(sends, Math.max(sent_at, idle_since))) {
        continue;
      }
      this.#store.resend(job, now);
      await this.#send(job, dispatch);
    }
  }

  /** `from`: when it was sent and somebody could have taken it. */
  #dueAgain(sends: number, from: number): number {
    return from + Math.min(LONGEST_RESEND_MS, Number(this.env.RESEND_MS) * 2 ** Math.min(sends - 1, 30));
  }

  async #arm(idle_since: number | null): Promise<void> {
    const now = Date.now();
    const due =
      idle_since === null
        ? []
        : this.#store.sent().map(({ sends, sent_at }) => this.#dueAgain(sends, Math.max(sent_at, idle_since)));
    const { waiting, sent } = this.#store.counts();
    if (this.#again) {
      due.push(now);
    }
    // a tenant at its cap, or a worker that goes: looked at again now and then
    if (waiting + sent > 0) {
      due.push(now + ANNOUNCE_MS);
    }
    if (due.length > 0) {
      await this.ctx.storage.setAlarm(Math.max(now, Math.min(...due)));
    } else {
      await this.ctx.storage.deleteAlarm();
    }
  }
}
