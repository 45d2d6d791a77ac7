/** The tables of one delivery queue. */
import { addColumn } from '../add-column.ts';
import type { AttemptEnd, Message } from './attempt.ts';

/** An endpoint by its id, or the address that a job named. */
export type Target = { endpoint: string } | { tenant: string; address: string };
/** `subject`: the job that it tells of, where it is for that job's own address. */
export type NewMessage = Message & { type: string; subject: string | null };
export type AttemptRow = { at: number; took_ms: number; status: number | null; detail: string };
export type MessageView = {
  seq: number;
  id: string;
  type: string;
  created_at: number;
  state: 'waiting' | 'delivered' | 'failed';
  next_at: number | null;
  attempts: AttemptRow[];
};

const TABLES = `
  CREATE TABLE queue (one INTEGER PRIMARY KEY CHECK (one = 1), target TEXT NOT NULL, failing_since INTEGER);
  CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, body TEXT NOT NULL,
    subject TEXT, created_at INTEGER NOT NULL, tries INTEGER NOT NULL, next_at INTEGER, state TEXT NOT NULL, trace TEXT);
  CREATE INDEX messages_due ON messages (next_at) WHERE next_at IS NOT NULL;
  CREATE INDEX messages_subject ON messages (subject) WHERE subject IS NOT NULL;
  CREATE TABLE attempts (message TEXT NOT NULL, at INTEGER NOT NULL, took_ms INTEGER NOT NULL, status INTEGER, detail TEXT NOT NULL);
  CREATE INDEX attempts_of ON attempts (message);`;

/** Messages and their attempts are kept this long. */
const KEPT_MS = 30 * 86_400_000;

export class QueueStore {
  readonly #sql: SqlStorage;
  #exists: boolean;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#exists = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'queue'").toArray().length > 0;
    if (this.#exists) {
      addColumn(sql, 'messages', 'trace TEXT');
    }
  }

  open(target: Target): void {
    if (this.#exists) {
      return;
    }
    this.#sql.exec(TABLES);
    this.#exists = true;
    this.#sql.exec('INSERT INTO queue VALUES (1, ?, NULL)', JSON.stringify(target));
  }
  forget(): void {
    this.#exists = false;
  }
  target(): Target | null {
    if (!this.#exists) {
      return null;
    }
    return JSON.parse(this.#sql.exec<{ target: string }>('SELECT target FROM queue').one().target) as Target;
  }

  failingSince(): number | null {
    if (!this.#exists) {
      return null;
    }
    return this.#sql.exec<{ failing_since: number | null }>('SELECT failing_since FROM queue').one().failing_since;
  }
  setFailingSince(at: number | null): void {
    if (this.#exists) {
      this.#sql.exec('UPDATE queue SET failing_since = ?', at);
    }
  }

  add({ id, type, body, subject, trace }: NewMessage, now: number): void {
    this.#sql.exec(
      `INSERT OR IGNORE INTO messages (id, type, body, subject, created_at, tries, next_at, state, trace)
       VALUES (?, ?, ?, ?, ?, 0, ?, 'waiting', ?)`,
      id,
      type,
      body,
      subject,
      now,
      now,
      trace,
    );
  }
  /** The message that is due first, of those that no lane has in hand. */
  next(now: number, inFlight: ReadonlySet<string>): (Message & { tries: number }) | null {
    if (!this.#exists) {
      return null;
    }
    const due = this.#sql.exec<{ id: string; body: string; trace: string | null; tries: number }>(
      'SELECT id, body, trace, tries FROM messages WHERE next_at <= ? ORDER BY next_at, seq LIMIT ?',
      now,
      inFlight.size + 1,
    );
    return due.toArray().find(({ id }) => !inFlight.has(id)) ?? null;
  }
  /** Logs an attempt; `next_at` null ends the delivery. */
  tried(id: string, end: AttemptEnd, next_at: number | null): void {
    if (!this.#exists) {
      return;
    }
    const state = end.result === 'delivered' ? 'delivered' : next_at === null ? 'failed' : 'waiting';
    this.#sql.exec('INSERT INTO attempts VALUES (?, ?, ?, ?, ?)', id, end.at, end.took_ms, end.status, end.detail);
    this.#sql.exec('UPDATE messages SET tries = tries + 1, next_at = ?, state = ? WHERE id = ?', next_at, state, id);
  }
  /** Makes a message due now, with the whole schedule before it; false where there is none. */
  again(id: string, now: number): boolean {
    if (!this.#exists) {
      return false;
    }
    return (
      this.#sql.exec("UPDATE messages SET next_at = ?, tries = 0, state = 'waiting' WHERE id = ?", now, id)
        .rowsWritten > 0
    );
  }
  drop(detail: string): void {
    if (!this.#exists) {
      return;
    }
    const now = Date.now();
    this.#sql.exec(
      'INSERT INTO attempts SELECT id, ?, 0, NULL, ? FROM messages WHERE next_at IS NOT NULL',
      now,
      detail,
    );
    this.#sql.exec("UPDATE messages SET next_at = NULL, state = 'failed' WHERE next_at IS NOT NULL");
  }

  list(before: number, limit: number): MessageView[] {
    if (!this.#exists) {
      return [];
    }
    return this.#sql
      .exec<Omit<MessageView, 'attempts'>>(
        'SELECT seq, id, type, created_at, state, next_at FROM messages WHERE seq < ? ORDER BY seq DESC LIMIT ?',
        before,
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, attempts: this.#attempts('WHERE message = ?', row.id) }));
  }
  attemptsFor(subject: string): AttemptRow[] {
    if (!this.#exists) {
      return [];
    }
    return this.#attempts('WHERE message IN (SELECT id FROM messages WHERE subject = ?)', subject);
  }
  #attempts(where: string, value: string): AttemptRow[] {
    return this.#sql
      .exec<AttemptRow>(`SELECT at, took_ms, status, detail FROM attempts ${where} ORDER BY at`, value)
      .toArray();
  }

  nextAt(): number | null {
    if (!this.#exists) {
      return null;
    }
    return this.#sql
      .exec<{ at: number | null }>('SELECT min(next_at) AS at FROM messages WHERE next_at IS NOT NULL')
      .one().at;
  }
  /** Messages that have not arrived yet, and when the oldest came. */
  waiting(): { waiting: number; oldest: number | null } {
    if (!this.#exists) {
      return { waiting: 0, oldest: null };
    }
    return this.#sql
      .exec<{ waiting: number; oldest: number | null }>(
        'SELECT count(*) AS waiting, min(created_at) AS oldest FROM messages WHERE next_at IS NOT NULL',
      )
      .one();
  }
  has(id: string): boolean {
    return this.#exists && this.#sql.exec('SELECT 1 FROM messages WHERE id = ?', id).toArray().length > 0;
  }
  forgetSubject(subject: string): void {
    if (!this.#exists) {
      return;
    }
    this.#sql.exec('DELETE FROM attempts WHERE message IN (SELECT id FROM messages WHERE subject = ?)', subject);
    this.#sql.exec('DELETE FROM messages WHERE subject = ?', subject);
  }
  sweep(now: number): void {
    if (!this.#exists) {
      return;
    }
    this.#sql.exec('DELETE FROM attempts WHERE at < ?', now - KEPT_MS);
    this.#sql.exec('DELETE FROM messages WHERE created_at < ? AND next_at IS NULL', now - KEPT_MS);
  }
}
