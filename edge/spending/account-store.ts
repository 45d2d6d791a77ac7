/** The tables of one tenant's account: device seconds by day and key, and what each job has reserved and been charged. */

/** A reservation that nobody has touched for this long belongs to a job that is not there any more. */
const RESERVED_MS = 3_600_000;
/** Days and settled jobs are kept this long: a late call of a job that was settled must find it. */
const KEPT_MS = 3 * 86_400_000;

const TABLES = `
  CREATE TABLE days (day TEXT NOT NULL, key TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (day, key));
  CREATE TABLE jobs (job TEXT PRIMARY KEY, key TEXT NOT NULL, reserved REAL NOT NULL, charged REAL NOT NULL,
    touched_at INTEGER NOT NULL, settled INTEGER NOT NULL);`;

export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** Of a tenant or of one of its keys: charged today, and reserved by jobs that go on. */
type Spent = { charged: number; reserved: number };

export class AccountStore {
  readonly #sql: SqlStorage;
  #exists: boolean;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#exists = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'days'").toArray().length > 0;
  }

  forget(): void {
    this.#exists = false;
  }

  /** Puts `seconds` aside for the job, in place of what it had. */
  reserve(job: string, key: string, seconds: number, now: number): void {
    this.#open();
    this.#sql.exec(
      `INSERT INTO jobs VALUES (?1, ?2, ?3, 0, ?4, 0)
       ON CONFLICT DO UPDATE SET reserved = charged + ?3, touched_at = ?4 WHERE settled = 0`,
      job,
      key,
      seconds,
      now,
    );
  }

  /** Charges the job up to `ran` seconds in all; saying it again charges nothing. */
  charge(job: string, key: string, ran: number, now: number): void {
    this.#open();
    const [row] = this.#sql
      .exec<{ charged: number; settled: number }>('SELECT charged, settled FROM jobs WHERE job = ?', job)
      .toArray();
    const more = row?.settled ? 0 : Math.max(0, ran - (row?.charged ?? 0));
    this.#sql.exec(
      `INSERT INTO jobs VALUES (?1, ?2, 0, ?3, ?4, 0)
       ON CONFLICT DO UPDATE SET charged = charged + ?3, touched_at = ?4 WHERE settled = 0`,
      job,
      key,
      more,
      now,
    );
    this.#sql.exec(
      'INSERT INTO days VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET seconds = seconds + ?3',
      dayOf(now),
      key,
      more,
    );
  }

  /** The job has ended: what it had reserved is free. */
  settle(job: string): void {
    this.#sql.exec('UPDATE jobs SET settled = 1 WHERE job = ?', job);
  }

  /** Of one key, or of the whole tenant; the reservation of `except` does not count. */
  spent(key: string | null, except: string, now: number): Spent {
    if (!this.#exists) {
      return { charged: 0, reserved: 0 };
    }
    return this.#sql
      .exec<Spent>(
        `SELECT
           (SELECT coalesce(sum(seconds), 0) FROM days WHERE day = ?1 AND (?2 IS NULL OR key = ?2)) AS charged,
           (SELECT coalesce(sum(max(0, reserved - charged)), 0) FROM jobs
             WHERE settled = 0 AND job <> ?3 AND touched_at > ?4 AND (?2 IS NULL OR key = ?2)) AS reserved`,
        dayOf(now),
        key,
        except,
        now - RESERVED_MS,
      )
      .one();
  }

  /** Keys with something charged today or reserved now. */
  keys(now: number): string[] {
    if (!this.#exists) {
      return [];
    }
    return this.#sql
      .exec<{ key: string }>(
        'SELECT key FROM days WHERE day = ?1 UNION SELECT key FROM jobs WHERE settled = 0 AND touched_at > ?2 ORDER BY key',
        dayOf(now),
        now - RESERVED_MS,
      )
      .toArray()
      .map(({ key }) => key);
  }

  /** Forgets what is long over; false where nothing is left. */
  sweep(now: number): boolean {
    if (!this.#exists) {
      return false;
    }
    this.#sql.exec('DELETE FROM days WHERE day < ?', dayOf(now - KEPT_MS));
    this.#sql.exec('DELETE FROM jobs WHERE touched_at < ?', now - KEPT_MS);
    return this.#sql.exec('SELECT 1 FROM days UNION ALL SELECT 1 FROM jobs LIMIT 1').toArray().length > 0;
  }

  #open(): void {
    if (!this.#exists) {
      this.#sql.exec(TABLES);
      this.#exists = true;
    }
  }
}
