/** The tables of one run's object. */
import type { InboundEvent } from '../../../shared/contracts/inbound.ts';
import type { RecipeBody } from '../../../shared/contracts/recipe.ts';
import type { RunEvent, RunStatus, RunView, StepError } from '../../../shared/contracts/run.ts';
import type { JobOutcome } from '../recipes/resolve.ts';
import type { StepState } from './plan.ts';

/** What fixes a run for good. */
export type Beginning = {
  id: string;
  tenant: string;
  hook: string;
  recipe: string;
  version: number;
  /** Its jobs act with this key's scopes and limits. */
  key: string;
  event: InboundEvent;
  replay: string | null;
  /** Traceparent of the delivery that began it; absent in runs from before traces. */
  trace?: string;
  created_at: number;
  body: RecipeBody;
};
export type RunState = Beginning & {
  status: RunStatus;
  error: StepError | null;
  ended_at: number | null;
  steps: StepState[];
};
/** One job of a step: `planned` until its ledger has it, then with the job's own status. */
export type RunJob = {
  step: string;
  n: number;
  job: string;
  status: string;
  error: StepError | null;
  outcome: JobOutcome | null;
};
type JobRow = { step: string; n: number; job: string; status: string; error: string | null; outcome: string | null };

const TABLES = `
  CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, body TEXT NOT NULL,
    revision INTEGER NOT NULL, indexed INTEGER NOT NULL);
  CREATE TABLE jobs (step TEXT NOT NULL, n INTEGER NOT NULL, job TEXT NOT NULL UNIQUE, item TEXT, status TEXT NOT NULL,
    error TEXT, outcome TEXT, noticed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (step, n));
  CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, data TEXT NOT NULL);
  CREATE TABLE outbox (id TEXT PRIMARY KEY, type TEXT NOT NULL, body TEXT NOT NULL);`;

export class RunStore {
  readonly #sql: SqlStorage;
  #exists: boolean;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#exists = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'run'").toArray().length > 0;
  }

  get exists(): boolean {
    return this.#exists;
  }

  create(state: RunState): void {
    this.#sql.exec(TABLES);
    this.#exists = true;
    const { body, ...rest } = state;
    this.#sql.exec('INSERT INTO run VALUES (1, ?, ?, 1, 0)', JSON.stringify(rest), JSON.stringify(body));
  }

  forget(): void {
    this.#exists = false;
  }

  load(): RunState | null {
    if (!this.#exists) {
      return null;
    }
    const { state, body } = this.#sql.exec<{ state: string; body: string }>('SELECT state, body FROM run').one();
    return { ...(JSON.parse(state) as Omit<RunState, 'body'>), body: JSON.parse(body) as RecipeBody };
  }

  save({ body: _, ...state }: RunState): void {
    this.#sql.exec('UPDATE run SET state = ?, revision = revision + 1', JSON.stringify(state));
  }

  revisions(): { revision: number; indexed: number } {
    return this.#sql.exec<{ revision: number; indexed: number }>('SELECT revision, indexed FROM run').one();
  }
  setIndexed(revision: number): void {
    this.#sql.exec('UPDATE run SET indexed = max(indexed, ?)', revision);
  }

  plan(step: string, jobs: readonly { job: string; item: unknown }[]): void {
    jobs.forEach(({ job, item }, n) => {
      this.#sql.exec(
        "INSERT OR IGNORE INTO jobs (step, n, job, item, status) VALUES (?, ?, ?, ?, 'planned')",
        step,
        n,
        job,
        item === undefined ? null : JSON.stringify(item),
      );
    });
  }
  jobs(step?: string): RunJob[] {
    return this.#sql
      .exec<JobRow>(
        'SELECT step, n, job, status, error, outcome FROM jobs WHERE ?1 IS NULL OR step = ?1 ORDER BY step, n',
        step ?? null,
      )
      .toArray()
      .map((row) => ({
        ...row,
        error: row.error === null ? null : (JSON.parse(row.error) as StepError),
        outcome: row.outcome === null ? null : (JSON.parse(row.outcome) as JobOutcome),
      }));
  }
  /** Jobs without what they left behind, which can be large. */
  statuses(): Omit<RunJob, 'outcome'>[] {
    return this.#sql
      .exec<Omit<JobRow, 'outcome'>>('SELECT step, n, job, status, error FROM jobs ORDER BY step, n')
      .toArray()
      .map((row) => ({ ...row, error: row.error === null ? null : (JSON.parse(row.error) as StepError) }));
  }
  item(step: string, n: number): unknown {
    const { item } = this.#sql
      .exec<{ item: string | null }>('SELECT item FROM jobs WHERE step = ? AND n = ?', step, n)
      .one();
    return item === null ? undefined : JSON.parse(item);
  }
  /** Notes a ledger's notice; false for a job that is not of this run. */
  notice(job: string): boolean {
    return this.#sql.exec('UPDATE jobs SET noticed = 1 WHERE job = ?', job).rowsWritten > 0;
  }
  /** Jobs of which a notice has come that was not followed yet. */
  noticed(): string[] {
    return this.#sql
      .exec<{ job: string }>('SELECT job FROM jobs WHERE noticed = 1')
      .toArray()
      .map(({ job }) => job);
  }
  setJob(job: string, status: string, error: StepError | null, outcome: JobOutcome | null): void {
    this.#sql.exec(
      'UPDATE jobs SET status = ?, error = ?, outcome = ?, noticed = 0 WHERE job = ?',
      status,
      error && JSON.stringify(error),
      outcome && JSON.stringify(outcome),
      job,
    );
  }

  append(event: RunEvent['event'], data: RunEvent['data']): RunEvent {
    const { id } = this.#sql
      .exec<{ id: number }>('INSERT INTO events (event, data) VALUES (?, ?) RETURNING id', event, JSON.stringify(data))
      .one();
    return { event, id, data } as RunEvent;
  }
  eventsAfter(id: number, limit: number): RunEvent[] {
    return this.#sql
      .exec<{ id: number; event: string; data: string }>(
        'SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?',
        id,
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, data: JSON.parse(row.data) as unknown }) as RunEvent);
  }

  queue(id: string, type: string, body: string): void {
    this.#sql.exec('INSERT OR IGNORE INTO outbox VALUES (?, ?, ?)', id, type, body);
  }
  queued(): { id: string; type: string; body: string }[] {
    return this.#sql.exec<{ id: string; type: string; body: string }>('SELECT * FROM outbox').toArray();
  }
  sent(id: string): void {
    this.#sql.exec('DELETE FROM outbox WHERE id = ?', id);
  }
}

/** A run is readable this long after its end. */
const RUN_KEPT_MS = 30 * 86_400_000;
export const expiresAt = ({ ended_at }: RunState): number | null => ended_at && ended_at + RUN_KEPT_MS;

const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export const runView = (state: RunState, jobs: readonly Omit<RunJob, 'outcome'>[]): RunView => ({
  id: state.id,
  hook: state.hook,
  recipe: state.recipe,
  version: state.version,
  status: state.status,
  error: state.error,
  event: state.event,
  replay: state.replay,
  created_at: new Date(state.created_at).toISOString(),
  ended_at: time(state.ended_at),
  expires_at: time(expiresAt(state)),
  steps: state.steps.map(({ id, status, error }) => ({
    id,
    type: state.body.steps.find((step) => step.id === id)?.type ?? '',
    status,
    error,
    jobs: jobs
      .filter(({ step }) => step === id)
      .map(({ job, status: of, error: why }) => ({ id: job, status: of, error: why })),
  })),
});
