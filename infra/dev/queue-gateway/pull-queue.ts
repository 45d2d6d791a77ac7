/**
 * One queue as a pull consumer sees it: messages with attempts, visibility and leases. A lease is no fence: an
 * acknowledgement is accepted after the lease's time, even when the message was handed to someone else in between.
 */
import { DurableObject } from 'cloudflare:workers';

export interface GatewayEnv {
  readonly EDGE: Fetcher;
  readonly PULL_QUEUE: DurableObjectNamespace<PullQueue>;
  readonly DEAD_LETTERS: Queue<unknown>;
  readonly MAX_RETRIES: number;
  readonly QUEUES_TOKEN: string;
}
export type Arrived = { id: string; timestamp_ms: number; body: string; content_type: 'json' | 'text' };
type PulledMessage = {
  id: string;
  body: string;
  timestamp_ms: number;
  attempts: number;
  lease_id: string;
  metadata: Record<string, string>;
};
type Pulled = {
  message_backlog_count: number;
  messages: PulledMessage[];
  metadata: { metrics: { backlog_count: number; backlog_bytes: number; oldest_message_timestamp_ms: number } };
};
type Acknowledged = { ackCount: number; retryCount: number; warnings: Record<string, string> };

type Row = { seq: number; id: string; timestamp_ms: number; body: string; content_type: string; attempts: number };

const TABLES = `
  CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, timestamp_ms INTEGER,
    body TEXT, content_type TEXT, attempts INTEGER DEFAULT 0, visible_at INTEGER);
  CREATE TABLE IF NOT EXISTS leases (lease_id TEXT PRIMARY KEY, seq INTEGER);
  CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (visible_at);`;

export class PullQueue extends DurableObject<GatewayEnv> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: GatewayEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(TABLES);
  }

  put(messages: readonly Arrived[]): void {
    for (const { id, timestamp_ms, body, content_type } of messages) {
      this.#sql.exec(
        'INSERT OR IGNORE INTO messages (id, timestamp_ms, body, content_type, visible_at) VALUES (?, ?, ?, ?, ?)',
        id,
        timestamp_ms,
        body,
        content_type,
        Date.now(),
      );
    }
  }

  async pull(batch: number, visibility_ms: number): Promise<Pulled> {
    const now = Date.now();
    await this.#giveUp('visible_at <= ?', now);
    const messages = this.#sql
      .exec<Row>('SELECT * FROM messages WHERE visible_at <= ? ORDER BY seq LIMIT ?', now, batch)
      .toArray()
      .map((row): PulledMessage => {
        const lease_id = crypto.randomUUID();
        this.#sql.exec(
          'UPDATE messages SET attempts = attempts + 1, visible_at = ? WHERE seq = ?',
          now + visibility_ms,
          row.seq,
        );
        this.#sql.exec('INSERT INTO leases VALUES (?, ?)', lease_id, row.seq);
        return {
          id: row.id,
          body: row.body,
          timestamp_ms: row.timestamp_ms,
          attempts: row.attempts + 1,
          lease_id,
          metadata: { 'CF-Content-Type': row.content_type, 'CF-sourceMessageSource': 'worker' },
        };
      });
    const metrics = this.#sql
      .exec<{ backlog_count: number; backlog_bytes: number; oldest_message_timestamp_ms: number }>(
        `SELECT count(*) AS backlog_count, coalesce(sum(length(body)), 0) AS backlog_bytes,
           coalesce(min(timestamp_ms), 0) AS oldest_message_timestamp_ms FROM messages`,
      )
      .one();
    return { message_backlog_count: metrics.backlog_count, messages, metadata: { metrics } };
  }

  async acknowledge(
    acks: readonly { lease_id: string }[],
    retries: readonly { lease_id: string; delay_seconds?: number }[],
  ): Promise<Acknowledged> {
    const answer: Acknowledged = { ackCount: 0, retryCount: 0, warnings: {} };
    for (const { lease_id } of acks) {
      const seq = this.#leased(lease_id);
      if (seq === null) {
        answer.warnings[lease_id] = 'the lease id is not known';
      } else {
        this.#remove(seq);
        answer.ackCount += 1;
      }
    }
    for (const { lease_id, delay_seconds = 0 } of retries) {
      const seq = this.#leased(lease_id);
      if (seq === null) {
        answer.warnings[lease_id] = 'the lease id is not known';
      } else {
        this.#sql.exec('UPDATE messages SET visible_at = ? WHERE seq = ?', Date.now() + 1000 * delay_seconds, seq);
        await this.#giveUp('seq = ?', seq);
        answer.retryCount += 1;
      }
    }
    return answer;
  }

  #leased(lease_id: string): number | null {
    return (
      this.#sql.exec<{ seq: number }>('SELECT seq FROM leases WHERE lease_id = ?', lease_id).toArray()[0]?.seq ?? null
    );
  }

  #remove(seq: number): void {
    this.#sql.exec('DELETE FROM messages WHERE seq = ?', seq);
    this.#sql.exec('DELETE FROM leases WHERE seq = ?', seq);
  }

  /** Forwards messages that used up their retries to the dead-letter queue, and only then forgets them. */
  async #giveUp(where: string, value: number): Promise<void> {
    const spent = this.#sql
      .exec<Row>(`SELECT * FROM messages WHERE ${where} AND attempts > ?`, value, Number(this.env.MAX_RETRIES))
      .toArray();
    for (const { seq, body, content_type } of spent) {
      const text = content_type === 'json' ? new TextDecoder().decode(bytesOf(body)) : body;
      if (content_type === 'json') {
        await this.env.DEAD_LETTERS.send(JSON.parse(text), { contentType: 'json' });
      } else {
        await this.env.DEAD_LETTERS.send(text, { contentType: 'text' });
      }
      this.#remove(seq);
    }
  }
}

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
