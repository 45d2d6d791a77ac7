/** The index of runs in D1: what lists read. Each run's object writes its own row, guarded by its revision. */
import type { RunView } from '../../../shared/contracts/run.ts';
import type { Position } from '../../http/pages.ts';
import { expiresAt, type RunState } from './store.ts';

/** A list shows runs without their jobs. */
type RunSummary = Omit<RunView, 'steps'>;

export async function indexRun(db: D1Database, state: RunState, view: RunView, revision: number): Promise<void> {
  const { steps: _, ...summary } = view;
  await db
    .prepare(
      `INSERT INTO runs (id, tenant, hook, recipe, status, created_at, expires_at, revision, summary)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
       ON CONFLICT (id) DO UPDATE SET status = ?5, expires_at = ?7, revision = ?8, summary = ?9 WHERE runs.revision < ?8`,
    )
    .bind(
      state.id,
      state.tenant,
      state.hook,
      state.recipe,
      state.status,
      state.created_at,
      expiresAt(state),
      revision,
      JSON.stringify(summary),
    )
    .run();
}

export const unindexRun = (db: D1Database, id: string): Promise<D1Result> =>
  db.prepare('DELETE FROM runs WHERE id = ?').bind(id).run();

export async function listRuns(
  db: D1Database,
  of: {
    tenant: string;
    hook: string | null;
    recipe: string | null;
    status: string | null;
    before: Position;
    limit: number;
  },
): Promise<(Position & { run: RunSummary })[]> {
  const { results } = await db
    .prepare(
      `SELECT id, created_at, summary FROM runs
       WHERE tenant = ?1 AND (?2 IS NULL OR hook = ?2) AND (?3 IS NULL OR recipe = ?3) AND (?4 IS NULL OR status = ?4)
         AND (created_at, id) < (?5, ?6)
       ORDER BY created_at DESC, id DESC LIMIT ?7`,
    )
    .bind(of.tenant, of.hook, of.recipe, of.status, of.before.created, of.before.id, of.limit)
    .all<{ id: string; created_at: number; summary: string }>();
  return results.map((row) => ({ created: row.created_at, id: row.id, run: JSON.parse(row.summary) as RunSummary }));
}
