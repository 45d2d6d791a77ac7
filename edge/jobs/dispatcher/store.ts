/** The tables of one pool's dispatcher. */
import { markOnArrival, type TenantMark } from './turns.ts';

/** A job that waits for a worker. */
export type Waiting = {
  job: string;
  dispatch: string;
  tenant: string;
  /** Estimated device seconds. */
  cost: number;
  /** When the job was created: a job that lost its worker does not go to the end of the line. */
  since: number;
};
type Sent = { job: string; dispatch: string; sends: number; sent_at: number };

const TABLES = `
  CREATE TABLE IF NOT EXISTS jobs (job TEXT PRIMARY KEY, dispatch TEXT NOT NULL, tenant TEXT NOT NULL, cost REAL NOT NULL,
    since INTEGER NOT NULL, state TEXT NOT NULL, sends INTEGER NOT NULL, sent_at INTEGER, worker TEXT);
  CREATE INDEX IF NOT EXISTS jobs_in_line ON jobs (tenant, since, job) WHERE state = 'waiting';
  CREATE INDEX IF NOT EXISTS jobs_held ON jobs (tenant) WHERE state <> 'waiting';
  CREATE INDEX IF NOT EXISTS jobs_sent ON jobs (sent_at) WHERE state = 'sent';
  CREATE TABLE IF NOT EXISTS tenants (tenant TEXT PRIMARY KEY, mark REAL NOT NULL, came INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS live (worker TEXT PRIMARY KEY, seen_at INTEGER NOT NULL, job TEXT, idle_at INTEGER);
  CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), clock REAL NOT NULL);
  INSERT OR IGNORE INTO clock VALUES (1, 0);`;

export class DispatcherStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
  }

  /** Puts a job in line; the same dispatch again changes nothing, another one takes its place. */
  wait({ job, dispatch, tenant, cost, since }: Waiting): void {
    const waits = this.#sql.exec("SELECT 1 FROM jobs WHERE tenant = ? AND state = 'waiting' LIMIT 1", tenant).toArray();
    if (waits.length === 0) {
      const [row] = this.#sql.exec<{ mark: number }>('SELECT mark FROM tenants WHERE tenant = ?', tenant).toArray();
      this.#sql.exec(
        `INSERT INTO tenants VALUES (?1, ?2, (SELECT coalesce(max(came), 0) + 1 FROM tenants))
         ON CONFLICT DO UPDATE SET mark = ?2, came = excluded.came`,
        tenant,
        markOnArrival(row?.mark ?? null, this.#clock()),
      );
    }
    this.#sql.exec(
      `UPDATE live SET job = NULL, idle_at = ?3 WHERE job = ?1
         AND EXISTS (SELECT 1 FROM jobs WHERE job = ?1 AND dispatch <> ?2)`,
      job,
      dispatch,
      Date.now(),
    );
    this.#sql.exec(
      `INSERT INTO jobs (job, dispatch, tenant, cost, since, state, sends) VALUES (?, ?, ?, ?, ?, 'waiting', 0)
       ON CONFLICT DO UPDATE SET dispatch = excluded.dispatch, state = 'waiting', sends = 0, sent_at = NULL, worker = NULL
       WHERE jobs.dispatch <> excluded.dispatch`,
      job,
      dispatch,
      tenant,
      cost,
      since,
    );
  }

  /** Forgets a job that has ended. */
  remove(job: string): void {
    this.#free(job);
    this.#sql.exec('DELETE FROM jobs WHERE job = ?', job);
  }

  /** Tenants with a job in line, in the order in which they came. */
  inLine(): (TenantMark & { job: string; dispatch: string })[] {
    return this.#sql
      .exec<TenantMark & { job: string; dispatch: string }>(
        `SELECT t.tenant, t.mark, j.cost, j.job, j.dispatch,
           (SELECT count(*) FROM jobs h WHERE h.tenant = t.tenant AND h.state <> 'waiting') AS held
         FROM tenants t JOIN jobs j ON j.job = (
           SELECT job FROM jobs w WHERE w.tenant = t.tenant AND w.state = 'waiting' ORDER BY since, job LIMIT 1)
         ORDER BY t.came`,
      )
      .toArray();
  }

  /** Notes a job as sent before it is: what breaks off is sent again. */
  send(job: string, turn: { tenant: string; mark: number; clock: number }, now: number): void {
    this.#sql.exec("UPDATE jobs SET state = 'sent', sent_at = ?, sends = 1 WHERE job = ?", now, job);
    this.#sql.exec('UPDATE tenants SET mark = ? WHERE tenant = ?', turn.mark, turn.tenant);
    this.#sql.exec('UPDATE clock SET clock = ?', turn.clock);
  }
  /** Notes that a sent job is sent once more. */
  resend(job: string, now: number): void {
    this.#sql.exec('UPDATE jobs SET sent_at = ?, sends = sends + 1 WHERE job = ?', now, job);
  }
  /** Back in line, at its old place. */
  unsend(job: string): void {
    this.#sql.exec(
      "UPDATE jobs SET state = 'waiting', sends = 0, sent_at = NULL WHERE job = ? AND state = 'sent'",
      job,
    );
  }
  sent(): Sent[] {
    return this.#sql
      .exec<Sent>("SELECT job, dispatch, sends, sent_at FROM jobs WHERE state = 'sent' ORDER BY sent_at")
      .toArray();
  }

  /** A worker has the job now. */
  claimed(job: string, worker: string): void {
    this.#sql.exec("UPDATE jobs SET state = 'running', worker = ? WHERE job = ?", worker, job);
    this.#sql.exec('UPDATE live SET job = ?, idle_at = NULL WHERE worker = ?', job, worker);
  }

  seen(worker: string, job: string | null, now: number): void {
    // an announcement may have been overtaken by a claim: only the end of its job frees a worker
    this.#sql.exec(
      `INSERT INTO live VALUES (?1, ?2, ?3, iif(?3 IS NULL, ?2, NULL))
       ON CONFLICT DO UPDATE SET seen_at = ?2, job = coalesce(?3, job), idle_at = iif(?3 IS NULL, idle_at, NULL)`,
      worker,
      now,
      job,
    );
    if (job) {
      this.#sql.exec("UPDATE jobs SET state = 'running', worker = ? WHERE job = ? AND state = 'sent'", worker, job);
    }
  }
  /** Takes back times that a clock which ran ahead has left: what is stored has happened. */
  takeBack(now: number): void {
    this.#sql.exec('UPDATE jobs SET sent_at = ?1 WHERE sent_at > ?1', now);
    this.#sql.exec(
      'UPDATE live SET seen_at = min(seen_at, ?1), idle_at = min(idle_at, ?1) WHERE seen_at > ?1 OR idle_at > ?1',
      now,
    );
  }
  gone(worker: string): void {
    this.#sql.exec('DELETE FROM live WHERE worker = ?', worker);
  }
  /** Live workers, and since when the one that has waited longest has had no job; null while all have one. */
  workers(since: number): { live: number; idle_since: number | null } {
    this.#sql.exec('DELETE FROM live WHERE seen_at < ?', since);
    return this.#sql
      .exec<{ live: number; idle_since: number | null }>(
        'SELECT count(*) AS live, min(idle_at) AS idle_since FROM live',
      )
      .one();
  }

  live(since: number): Set<string> {
    const rows = this.#sql.exec<{ worker: string }>('SELECT worker FROM live WHERE seen_at >= ?', since);
    return new Set(rows.toArray().map(({ worker }) => worker));
  }

  /** Live workers that have no job. */
  idle(since: number): Set<string> {
    const rows = this.#sql.exec<{ worker: string }>(
      'SELECT worker FROM live WHERE job IS NULL AND seen_at >= ?',
      since,
    );
    return new Set(rows.toArray().map(({ worker }) => worker));
  }

  /** What stands before a waiting job: jobs, and their device seconds; null for one that does not wait. */
  ahead(job: string): { jobs: number; seconds: number } | null {
    const [row] = this.#sql
      .exec<{ jobs: number; seconds: number }>(
        `WITH line AS (
           SELECT job, cost, came, mark + coalesce(sum(cost) OVER (
             PARTITION BY tenant ORDER BY since, job ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS turn
           FROM jobs JOIN tenants USING (tenant) WHERE state = 'waiting'),
         own AS (SELECT turn, came FROM line WHERE job = ?)
         SELECT count(line.job) AS jobs, coalesce(sum(line.cost), 0) AS seconds
         FROM own LEFT JOIN line ON (line.turn, line.came) < (own.turn, own.came) GROUP BY own.turn`,
        job,
      )
      .toArray();
    return row ?? null;
  }

  counts(): { waiting: number; sent: number; running: number; oldest: number | null } {
    return this.#sql
      .exec<{ waiting: number; sent: number; running: number; oldest: number | null }>(
        `SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'sent') AS sent,
           count(*) FILTER (WHERE state = 'running') AS running,
           min(since) FILTER (WHERE state = 'waiting') AS oldest FROM jobs`,
      )
      .one();
  }

  /** Forgets a tenant and its jobs, whatever it owes. */
  forget(tenant: string): void {
    this.#sql.exec('UPDATE live SET job = NULL WHERE job IN (SELECT job FROM jobs WHERE tenant = ?)', tenant);
    this.#sql.exec('DELETE FROM jobs WHERE tenant = ?', tenant);
    this.#sql.exec('DELETE FROM tenants WHERE tenant = ?', tenant);
  }

  /** Forgets tenants that have nothing here and owe nothing. */
  tidy(): void {
    this.#sql.exec(
      `DELETE FROM tenants WHERE mark <= (SELECT clock FROM clock)
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.tenant = tenants.tenant)`,
    );
  }

  /** The worker of this job has none any more. */
  #free(job: string): void {
    this.#sql.exec('UPDATE live SET job = NULL, idle_at = ? WHERE job = ?', Date.now(), job);
  }

  #clock(): number {
    return this.#sql.exec<{ clock: number }>('SELECT clock FROM clock').one().clock;
  }
}
