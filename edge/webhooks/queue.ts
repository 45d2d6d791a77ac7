/**
 * One queue per endpoint, in an object of its own: an endpoint that hangs or is dead delays no other. Every message is
 * stored before anything is sent, and every way out of the alarm sets the next one: the platform repeats a failing alarm
 * six times only.
 */
import { DurableObject } from 'cloudflare:workers';
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { audited } from '../audit/log.ts';
import type { Env } from '../environment.ts';
import { log } from '../log.ts';
import { span } from '../span.ts';
import { announce } from './announce.ts';
import { attempt } from './attempt.ts';
import { findEndpoint, openSecrets } from './endpoints.ts';
import { listAddressQueue, noteWaiting } from './queue-index.ts';
import { addressQueueName } from './queue-of.ts';
import { type AttemptRow, type MessageView, type NewMessage, QueueStore, type Target } from './queue-store.ts';
import { GIVE_UP_MS, pauseAfter } from './schedule.ts';
import { tenantSecrets } from './tenant-secret.ts';

/** The platform lets an object have six connections at once. */
const LANES = 6;
/** After this long an alarm hands over to the next one. */
const TURN_MS = 30_000;
const SAFETY_MS = 60_000;
const SWEEP_MS = 6 * 3_600_000;
const NOTE_MS = 10_000;

type Receiver = { address: string; secrets: string[]; tenant: string };

export class DeliveryQueue extends DurableObject<Env> {
  readonly #store: QueueStore;
  readonly #inFlight = new Set<string>();
  /** Set while an alarm sends: what comes in meanwhile joins it rather than wait for its slowest attempt. */
  #turn: { target: Target; receiver: Receiver; until: number } | null = null;
  #lanes = 0;
  /** What the operator's counters were told last. */
  #noted: { waiting: number; at: number } | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new QueueStore(ctx.storage.sql);
  }

  /** Takes a message in; the same id again changes nothing. */
  async enqueue(target: Target, message: NewMessage): Promise<void> {
    if ('address' in target && !this.#store.target()) {
      await listAddressQueue(this.env, await addressQueueName(target.tenant, target.address), target.tenant);
    }
    this.#store.open(target);
    this.#store.add(message, Date.now());
    await this.#arm();
    if (this.#turn && this.#lanes < LANES) {
      this.ctx.waitUntil(this.#lane(this.#turn));
    }
  }

  /** Newest first, from below `before` on. */
  list(before: number, limit: number): MessageView[] {
    return this.#store.list(before, limit);
  }

  /** Attempts to tell of one job. */
  attemptsFor(subject: string): AttemptRow[] {
    return this.#store.attemptsFor(subject);
  }

  /** Sends a message again now, whatever became of it; false where there is none of that id. */
  async redeliver(id: string): Promise<boolean> {
    if (!this.#store.again(id, Date.now())) {
      return false;
    }
    await this.#arm();
    return true;
  }

  /** The endpoint was disabled: what waits is not sent. */
  drop(): void {
    this.#store.drop('the endpoint is disabled');
  }

  /** The endpoint was enabled: it has its five days again. */
  revive(): void {
    this.#store.setFailingSince(null);
  }

  has(id: string): boolean {
    return this.#store.has(id);
  }

  /** Forgets what was to be told, or has been, of a job that is deleted. */
  forgetSubject(subject: string): void {
    this.#store.forgetSubject(subject);
  }

  async erase(): Promise<void> {
    this.#store.forget();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  override async alarm(): Promise<void> {
    const target = this.#store.target();
    if (!target) {
      return;
    }
    await this.ctx.storage.setAlarm(Date.now() + SAFETY_MS);
    try {
      this.#store.sweep(Date.now());
      const receiver = await this.#receiver(target);
      if (receiver === 'deleted') {
        return await this.erase();
      }
      if (receiver === 'disabled') {
        this.drop();
      } else {
        const turn = { target, receiver, until: Date.now() + TURN_MS };
        this.#turn = turn;
        await Promise.all(Array.from({ length: LANES - this.#lanes }, () => this.#lane(turn)));
      }
    } catch (error) {
      log.error('a delivery queue waits', {
        ...('endpoint' in target ? { endpoint: target.endpoint } : { tenant: target.tenant }),
        reason: String(error),
      });
      await this.ctx.storage.setAlarm(Date.now() + 5_000);
      return;
    } finally {
      this.#turn = null;
    }
    if (this.#store.target()) {
      await this.#arm();
      await this.#note(target);
    }
  }

  /** Tells the operator's counters what waits here: whenever that is nothing any more, else now and then. */
  async #note(target: Target): Promise<void> {
    const { waiting, oldest } = this.#store.waiting();
    const now = Date.now();
    if (waiting === this.#noted?.waiting || (waiting > 0 && now < (this.#noted?.at ?? 0) + NOTE_MS)) {
      return;
    }
    this.#noted = { waiting, at: now };
    const name = 'endpoint' in target ? target.endpoint : await addressQueueName(target.tenant, target.address);
    const tenant = 'tenant' in target ? target.tenant : (await findEndpoint(this.env, target.endpoint))?.tenant;
    if (tenant !== undefined) {
      await noteWaiting(this.env, { name, tenant, waiting, oldest }).catch((error: unknown) =>
        log.warn('a delivery queue is not counted', { reason: String(error) }),
      );
    }
  }

  /** Sends one message after the other until none is due. */
  async #lane(turn: { target: Target; receiver: Receiver; until: number }): Promise<void> {
    this.#lanes += 1;
    try {
      await this.#sendAll(turn);
    } finally {
      this.#lanes -= 1;
    }
  }

  async #sendAll({ target, receiver, until }: { target: Target; receiver: Receiver; until: number }): Promise<void> {
    for (;;) {
      const now = Date.now();
      const message = now < until ? this.#store.next(now, this.#inFlight) : null;
      if (!message) {
        return;
      }
      this.#inFlight.add(message.id);
      try {
        const end = await span('deliver', message.trace, () =>
          attempt(this.env, receiver.address, receiver.secrets, message),
        );
        log[end.result === 'delivered' ? 'info' : 'warn']('webhook attempt', {
          trace: message.trace,
          tenant: receiver.tenant,
          ...('endpoint' in target ? { endpoint: target.endpoint } : {}),
          delivery: message.id,
          attempt: message.tries + 1,
          status: end.status,
          result: end.result,
          detail: end.detail,
          ms: end.took_ms,
        });
        const tries = message.tries + 1;
        const pause = end.result === 'failed' ? pauseAfter(tries, Math.random(), end.wish_ms) : null;
        this.#store.tried(message.id, end, pause === null ? null : Date.now() + pause);
        if (end.result === 'delivered') {
          this.#store.setFailingSince(null);
        } else if ('endpoint' in target && (await this.#isGivenUp(end.result, end.at))) {
          await this.#disable(target.endpoint, receiver.tenant, end.result === 'gone' ? 'gone' : 'failing');
          return;
        }
      } finally {
        this.#inFlight.delete(message.id);
      }
    }
  }

  /** Whether the endpoint is to be disabled after a failure at `at`. */
  async #isGivenUp(result: 'failed' | 'gone', at: number): Promise<boolean> {
    const since = this.#store.failingSince();
    if (since === null) {
      this.#store.setFailingSince(at);
    }
    return result === 'gone' || at - (since ?? at) >= GIVE_UP_MS;
  }

  async #disable(endpoint: string, tenant: string, reason: 'gone' | 'failing'): Promise<void> {
    const at = Date.now();
    const event = { tenant, actor: 'service', action: 'endpoint.disable', target: endpoint, request_id: null };
    const [result] = await audited(this.env, event, [
      this.env.DB.prepare(
        'UPDATE webhook_endpoints SET disabled_at = ?, disabled_reason = ? WHERE id = ? AND disabled_at IS NULL',
      ).bind(at, reason, endpoint),
    ]);
    this.drop();
    if (result && result.meta.changes > 0) {
      await announceDisabled(this.env, tenant, endpoint, reason);
    }
  }

  async #receiver(target: Target): Promise<Receiver | 'disabled' | 'deleted'> {
    if ('address' in target) {
      return { ...target, secrets: await tenantSecrets(this.env, target.tenant) };
    }
    const endpoint = await findEndpoint(this.env, target.endpoint);
    if (!endpoint) {
      return 'deleted';
    }
    if (endpoint.disabled_at !== null) {
      return 'disabled';
    }
    const secrets = await openSecrets(this.env, endpoint, Date.now());
    return { address: endpoint.address, secrets, tenant: endpoint.tenant };
  }

  async #arm(): Promise<void> {
    const now = Date.now();
    const next = this.#store.nextAt();
    const at = Math.max(now, Math.min(next ?? now + SWEEP_MS, now + SWEEP_MS));
    const current = await this.ctx.storage.getAlarm();
    if (current === null || current > at) {
      await this.ctx.storage.setAlarm(at);
    }
  }
}

/** Tells the tenant's other endpoints. */
export async function announceDisabled(
  env: Env,
  tenant: string,
  endpoint: string,
  reason: 'gone' | 'failing' | 'caller',
): Promise<void> {
  const type = 'endpoint.disabled';
  const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data: { id: endpoint, reason } });
  await announce(env, { tenant, id: randomId('evt'), type, body, trace: null });
}

/** Raises `not_found` for a message that is not there. */
export const noSuchDelivery = (id: string): SextantError =>
  new SextantError('not_found', `there is no delivery ${id} for this endpoint`);
