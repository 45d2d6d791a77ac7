/** What workers of one pool said of their memory when they claimed. */

/** A worker that has claimed nothing for longer is not counted on. */
const KEPT_MS = 24 * 3_600_000;

export class WorkerMemories {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(
      'CREATE TABLE IF NOT EXISTS memories (worker TEXT PRIMARY KEY, bytes INTEGER NOT NULL, at INTEGER NOT NULL)',
    );
  }

  note(worker: string, bytes: number, now: number): void {
    this.#sql.exec(
      'INSERT INTO memories VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET bytes = ?2, at = ?3',
      worker,
      bytes,
      now,
    );
  }

  /** The largest of the last day, in bytes; 0 where nobody has said. */
  largest(now: number): number {
    this.#sql.exec('DELETE FROM memories WHERE at < ?', now - KEPT_MS);
    return this.#sql.exec<{ bytes: number }>('SELECT coalesce(max(bytes), 0) AS bytes FROM memories').one().bytes;
  }
}
