/**
 * The index of jobs in D1: what lists read. Each ledger writes its own row, guarded by the ledger's revision, so that a
 * late write never undoes a newer one.
 */
import { isTerminal, type Job, type JobStatus } from '../../shared/contracts/job.ts';
import type { Position } from '../http/pages.ts';
import type { JobState } from './state.ts';
import { expiresAt, jobView } from './view.ts';

/** A list shows jobs without the parts that can be large; reading one job shows them. */
export type JobSummary = Omit<Job, 'result' | 'metrics' | 'run' | 'artefacts' | 'published'>;

export function summaryOf(job: Job): JobSummary {
  const { result: _result, metrics: _metrics, run: _run, artefacts: _artefacts, published: _published, ...rest } = job;
  return rest;
}

export async function indexJob(db: D1Database, state: JobState, revision: number): Promise<void> {
  const row = db
    .prepare(
      `INSERT INTO jobs (id, tenant, type, status, created_at, expires_at, revision, summary)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
       ON CONFLICT (id) DO UPDATE SET status = ?4, expires_at = ?6, revision = ?7, summary = ?8
       WHERE jobs.revision < ?7`,
    )
    .bind(
      state.id,
      state.tenant,
      state.type,
      state.status,
      state.created_at,
      expiresAt(state),
      revision,
      JSON.stringify(summaryOf(jobView(state))),
    );
  await db.batch(isTerminal(state.status) ? [row, usageStatement(db, state)] : [row]);
}

/** Settles what a job took, once it has ended. */
const usageStatement = (db: D1Database, { id, tenant, key = '', ended_at, ran_ms }: JobState): D1PreparedStatement =>
  db
    .prepare('INSERT OR IGNORE INTO usage (job, tenant, key, day, device_seconds) VALUES (?, ?, ?, ?, ?)')
    .bind(id, tenant, key, new Date(ended_at ?? 0).toISOString().slice(0, 10), ran_ms / 1000);

export const unindexJob = (db: D1Database, id: string): Promise<D1Result> =>
  db.prepare('DELETE FROM jobs WHERE id = ?').bind(id).run();

export type JobFilter = { type?: string | undefined; status?: JobStatus | undefined };

/** Up to `limit` of the tenant's jobs, newest first, from `before` on. */
export async function listJobs(
  db: D1Database,
  tenant: string,
  filter: JobFilter,
  before: Position,
  limit: number,
): Promise<(Position & { job: JobSummary })[]> {
  const { results } = await db
    .prepare(
      `SELECT id, created_at, summary FROM jobs
       WHERE tenant = ?1 AND (?2 IS NULL OR type = ?2) AND (?3 IS NULL OR status = ?3)
         AND (created_at, id) < (?4, ?5)
       ORDER BY created_at DESC, id DESC LIMIT ?6`,
    )
    .bind(tenant, filter.type ?? null, filter.status ?? null, before.created, before.id, limit)
    .all<{ id: string; created_at: number; summary: string }>();
  return results.map((row) => ({ created: row.created_at, id: row.id, job: JSON.parse(row.summary) as JobSummary }));
}
