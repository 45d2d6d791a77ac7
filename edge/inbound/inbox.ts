/**
 * One object per inbound hook: keeps every delivery, and turns the accepted ones into runs. A delivery is answered as soon
 * as its row is stored; the alarm, which is stored with it, does the rest and is set again until all is done.
 */
import { DurableObject } from 'cloudflare:workers';
import type { InboundDelivery, InboundEvent } from '../../shared/contracts/inbound.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { newTraceparent } from '../../shared/signing/traceparent.ts';
import { addColumn } from '../add-column.ts';
import type { Env } from '../environment.ts';
import { type Answer, answer } from '../jobs/answer.ts';
import { log } from '../log.ts';
import { findHook } from './hooks.ts';
import { startRun } from './runs/start.ts';

export type Arrival = {
  sender_id: string | null;
  outcome: InboundDelivery['outcome'];
  code: string | null;
  detail: string | null;
  event: InboundEvent | null;
  /** Raw bytes, of accepted and ignored deliveries; those of a refused one are nobody's. */
  body: Uint8Array<ArrayBuffer> | null;
  bytes: number;
  /** Traceparent of the request that brought it. */
  trace: string | null;
};
type Row = {
  id: string;
  at: number;
  sender_id: string | null;
  outcome: InboundDelivery['outcome'];
  code: string | null;
  detail: string | null;
  event: string | null;
  run: string | null;
  replay_of: string | null;
  bytes: number;
};
type Pending = { id: string; event: string; replay_of: string | null; tries: number; trace: string | null };
const COLUMNS = 'id, at, sender_id, outcome, code, detail, event, run, replay_of, bytes';
const TABLES = `
  CREATE TABLE IF NOT EXISTS hook (id TEXT PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS deliveries (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
    sender_id TEXT, outcome TEXT NOT NULL, code TEXT, detail TEXT, event TEXT, run TEXT, replay_of TEXT,
    bytes INTEGER NOT NULL, body BLOB, pending INTEGER NOT NULL, tries INTEGER NOT NULL, trace TEXT);
  CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (pending) WHERE pending = 1;
  CREATE INDEX IF NOT EXISTS deliveries_refused ON deliveries (seq) WHERE outcome = 'refused';`;

/** Deliveries are kept this long. */
const KEPT_MS = 30 * 86_400_000;
/** Refused deliveries may come from anybody: of those only the newest are kept. */
const REFUSED_KEPT = 1000;
const SWEEP_MS = 3_600_000;
const BATCH = 50;
const LONGEST_PAUSE_MS = 300_000;

export class InboundInbox extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  #ready: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#ready = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'deliveries'").toArray().length > 0;
    if (this.#ready) {
      addColumn(this.#sql, 'deliveries', 'trace TEXT');
    }
  }

  /** Stores a delivery for the hook and answers its id. */
  async arrive(hook: string, arrival: Arrival): Promise<string> {
    const id = randomId('dlv');
    if (!this.#ready) {
      this.#sql.exec(TABLES);
      this.#sql.exec('INSERT OR IGNORE INTO hook VALUES (?)', hook);
      this.#ready = true;
    }
    this.#insert(id, arrival, null);
    if (arrival.outcome === 'refused') {
      this.#sql.exec(
        `DELETE FROM deliveries WHERE outcome = 'refused' AND seq <= (
           SELECT seq FROM deliveries WHERE outcome = 'refused' ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
        REFUSED_KEPT,
      );
    }
    await this.#armAt(arrival.outcome === 'accepted' ? Date.now() : Date.now() + SWEEP_MS);
    return id;
  }

  /** Newest first, from below `before` on. */
  list(before: number, limit: number): { seq: number; delivery: InboundDelivery }[] {
    if (!this.#ready) {
      return [];
    }
    return this.#sql
      .exec<Row & { seq: number }>(
        `SELECT seq, ${COLUMNS} FROM deliveries WHERE seq < ? ORDER BY seq DESC LIMIT ?`,
        before,
        limit,
      )
      .toArray()
      .map(({ seq, ...row }) => ({ seq, delivery: view(row) }));
  }

  read(id: string): InboundDelivery | null {
    const [row] = this.#ready
      ? this.#sql.exec<Row>(`SELECT ${COLUMNS} FROM deliveries WHERE id = ?`, id).toArray()
      : [];
    return row ? view(row) : null;
  }

  /** Runs an accepted delivery again, as a run of its own. Raises `not_found`, `conflict`. */
  async replay(id: string, trace: string): Promise<Answer<InboundDelivery>> {
    return answer(async () => {
      const [row] = this.#ready
        ? this.#sql.exec<Row>(`SELECT ${COLUMNS} FROM deliveries WHERE id = ?`, id).toArray()
        : [];
      if (!row) {
        throw new SextantError('not_found', `there is no delivery ${id}`);
      }
      if (row.outcome !== 'accepted' || row.event === null) {
        throw new SextantError(
          'conflict',
          `the delivery was ${row.outcome}: ${row.code}; there is nothing to run again`,
        );
      }
      const again = randomId('dlv');
      const event = JSON.parse(row.event) as InboundEvent;
      this.#insert(again, { ...row, event, code: null, detail: null, body: null, trace }, id);
      await this.#armAt(Date.now());
      return this.read(again) as InboundDelivery;
    });
  }

  /** Forgets everything: the hook has been deleted. */
  async erase(): Promise<void> {
    this.#ready = false;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  override async alarm(): Promise<void> {
    if (!this.#ready) {
      return;
    }
    // whatever happens below, there is another alarm
    await this.ctx.storage.setAlarm(Date.now() + LONGEST_PAUSE_MS);
    const pending = this.#sql
      .exec<Pending>(
        'SELECT id, event, replay_of, tries, trace FROM deliveries WHERE pending = 1 ORDER BY seq LIMIT ?',
        BATCH,
      )
      .toArray();
    let pause = 0;
    for (const one of pending) {
      const { id, tries, trace } = one;
      try {
        await this.#start(one);
      } catch (error) {
        log.error('a delivery waits', { trace, delivery: id, reason: String(error) });
        this.#sql.exec('UPDATE deliveries SET tries = tries + 1 WHERE id = ?', id);
        pause = Math.max(pause, Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(tries, 20)));
      }
    }
    this.#sql.exec('DELETE FROM deliveries WHERE at < ? AND pending = 0', Date.now() - KEPT_MS);
    const left = this.#sql.exec('SELECT 1 FROM deliveries WHERE pending = 1 LIMIT 1').toArray().length > 0;
    await this.ctx.storage.setAlarm(Date.now() + (left ? pause : SWEEP_MS));
  }

  async #start({ id, event: json, replay_of, trace }: Pending): Promise<void> {
    const event = JSON.parse(json) as InboundEvent;
    const hook = await findHook(this.env, this.#sql.exec<{ id: string }>('SELECT id FROM hook').one().id);
    const started = hook
      ? await startRun(this.env, hook, event, {
          replay: replay_of === null ? null : id,
          trace: trace ?? newTraceparent(),
        })
      : { refused: { code: 'hook_disabled', detail: 'the hook has been deleted' } };
    if ('run' in started) {
      log.info('delivery started', { trace, hook: hook?.id, delivery: id, run: started.run });
      this.#sql.exec('UPDATE deliveries SET run = ?, pending = 0 WHERE id = ?', started.run, id);
    } else {
      const { code, detail } = started.refused;
      log.warn('delivery refused', { trace, hook: hook?.id, delivery: id, code });
      this.#sql.exec(
        "UPDATE deliveries SET outcome = 'refused', code = ?, detail = ?, pending = 0 WHERE id = ?",
        code,
        detail,
        id,
      );
    }
  }

  #insert(id: string, arrival: Arrival, replay_of: string | null): void {
    this.#sql.exec(
      `INSERT INTO deliveries (${COLUMNS}, body, pending, tries, trace) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, 0, ?)`,
      id,
      Date.now(),
      arrival.sender_id,
      arrival.outcome,
      arrival.code,
      arrival.detail?.slice(0, 1000) ?? null,
      arrival.event && JSON.stringify(arrival.event),
      replay_of,
      arrival.bytes,
      arrival.body,
      arrival.outcome === 'accepted' ? 1 : 0,
      arrival.trace,
    );
  }

  async #armAt(at: number): Promise<void> {
    const current = await this.ctx.storage.getAlarm();
    if (current === null || current > at) {
      await this.ctx.storage.setAlarm(at);
    }
  }
}

const view = (row: Row): InboundDelivery => ({
  ...row,
  at: new Date(row.at).toISOString(),
  event: row.event === null ? null : (JSON.parse(row.event) as InboundEvent),
});

/** The inbox of a hook; calls go through a stub and are therefore asynchronous. */
export const inboxOf = (env: Env, hook: string) => (env.INBOX as DurableObjectNamespace<InboundInbox>).getByName(hook);
