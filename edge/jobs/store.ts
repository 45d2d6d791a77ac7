/**
 * The tables of one job's ledger object. They are created with the job, so that asking for an id that was never given
 * out leaves nothing behind.
 */
import type { JobEvent } from '../../shared/contracts/job-event.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import type { Checkpoint } from '../../shared/contracts/worker-call.ts';
import type { JobState } from './state.ts';

/** Checkpoints are younger than the ledger: the table of an older job is made when it is first opened. */
const CHECKPOINT_TABLE = `
  CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT, revision INTEGER NOT NULL,
    held INTEGER NOT NULL);`;
const TABLES = `
  CREATE TABLE job (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, revision INTEGER NOT NULL,
    indexed INTEGER NOT NULL, params TEXT, params_ref TEXT, completion TEXT);
  CREATE TABLE dispatches (id TEXT PRIMARY KEY);
  CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, data TEXT NOT NULL);
  CREATE TABLE outbox (one INTEGER PRIMARY KEY CHECK (one = 1), event_id TEXT NOT NULL, body TEXT NOT NULL,
    tries INTEGER NOT NULL, next_at INTEGER, outcome TEXT);${CHECKPOINT_TABLE}`;

/** Progress frames that are kept for clients that resume; status frames are few and all kept. */
const PROGRESS_FRAMES = 200;

type ParamsReference = { sha256: string; bytes: number };
export type StoredParams = { inline: Record<string, unknown> } | { reference: ParamsReference };
/** The job's end, until everybody who is to be told has been. */
type News = { event_id: string; body: string; next_at: number | null };

export class LedgerStore {
  readonly #sql: SqlStorage;
  #exists: boolean;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#exists = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'job'").toArray().length > 0;
    if (this.#exists) {
      sql.exec(CHECKPOINT_TABLE);
    }
  }

  create(state: JobState, params: StoredParams): void {
    this.#sql.exec(TABLES);
    this.#exists = true;
    this.#sql.exec(
      'INSERT INTO job VALUES (1, ?, 1, 0, ?, ?, NULL)',
      JSON.stringify(state),
      'inline' in params ? JSON.stringify(params.inline) : null,
      'reference' in params ? JSON.stringify(params.reference) : null,
    );
  }

  forget(): void {
    this.#exists = false;
  }

  load(): JobState | null {
    if (!this.#exists) {
      return null;
    }
    return JSON.parse(this.#sql.exec<{ state: string }>('SELECT state FROM job').one().state) as JobState;
  }

  save(state: JobState, indexChanges: boolean): void {
    this.#sql.exec('UPDATE job SET state = ?, revision = revision + ?', JSON.stringify(state), indexChanges ? 1 : 0);
  }

  params(): StoredParams {
    const row = this.#sql.exec<{ params: string | null; params_ref: string | null }>('SELECT * FROM job').one();
    return row.params !== null
      ? { inline: JSON.parse(row.params) as Record<string, unknown> }
      : { reference: JSON.parse(row.params_ref ?? '') as ParamsReference };
  }

  /** Forgets inline params; they are not needed once the job has ended. */
  dropParams(): void {
    this.#sql.exec("UPDATE job SET params = '{}', params_ref = NULL");
  }

  /** The newest revision, and the one that the index has. */
  revisions(): { revision: number; indexed: number } {
    return this.#sql.exec<{ revision: number; indexed: number }>('SELECT revision, indexed FROM job').one();
  }
  setIndexed(revision: number): void {
    this.#sql.exec('UPDATE job SET indexed = max(indexed, ?)', revision);
  }

  issue(dispatch: string): void {
    this.#sql.exec('INSERT OR IGNORE INTO dispatches VALUES (?)', dispatch);
  }
  issued(dispatch: string): boolean {
    return this.#sql.exec('SELECT 1 FROM dispatches WHERE id = ?', dispatch).toArray().length > 0;
  }

  /** What a sealed job still has to publish, as JSON; null once that is done. */
  completion(): string | null {
    return this.#sql.exec<{ completion: string | null }>('SELECT completion FROM job').one().completion;
  }
  setCompletion(json: string | null): void {
    this.#sql.exec('UPDATE job SET completion = ?', json);
  }

  checkpoint(): Checkpoint | null {
    const [row] = this.#sql.exec<{ body: string | null }>('SELECT body FROM checkpoint').toArray();
    return row?.body ? (JSON.parse(row.body) as Checkpoint) : null;
  }
  setCheckpoint(checkpoint: Checkpoint): void {
    this.#sql.exec(
      `INSERT INTO checkpoint VALUES (1, ?, 1, 0)
       ON CONFLICT DO UPDATE SET body = excluded.body, revision = revision + 1`,
      JSON.stringify(checkpoint),
    );
  }
  dropCheckpoint(): void {
    this.#sql.exec('UPDATE checkpoint SET body = NULL, revision = revision + 1 WHERE body IS NOT NULL');
  }
  /** The newest revision of the checkpoint, and the one whose blobs the job holds; null where there never was one. */
  checkpointRevisions(): { revision: number; held: number } | null {
    return (
      this.#sql.exec<{ revision: number; held: number }>('SELECT revision, held FROM checkpoint').toArray()[0] ?? null
    );
  }
  setHeld(revision: number): void {
    this.#sql.exec('UPDATE checkpoint SET held = max(held, ?)', revision);
  }

  append(event: JobEvent['event'], data: unknown): JobEvent {
    const { id } = this.#sql
      .exec<{ id: number }>('INSERT INTO events (event, data) VALUES (?, ?) RETURNING id', event, JSON.stringify(data))
      .one();
    if (event === 'progress' && id % 50 === 0) {
      this.#sql.exec("DELETE FROM events WHERE event = 'progress' AND id <= ?", id - PROGRESS_FRAMES);
    }
    return { event, id, data } as JobEvent;
  }
  eventsAfter(id: number, limit: number): JobEvent[] {
    return this.#sql
      .exec<{ id: number; event: string; data: string }>(
        'SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?',
        id,
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, data: JSON.parse(row.data) as unknown }) as JobEvent);
  }
  /** What followers have been told of the job's texts. */
  told(): TokenPiece[] {
    return this.#sql
      .exec<{ data: string }>("SELECT data FROM events WHERE event = 'tokens' ORDER BY id")
      .toArray()
      .map(({ data }) => JSON.parse(data) as TokenPiece);
  }

  queueNews(event_id: string, body: string, at: number): void {
    this.#sql.exec('INSERT OR IGNORE INTO outbox VALUES (1, ?, ?, 0, ?, NULL)', event_id, body, at);
  }
  news(): News | null {
    return this.#sql.exec<News>('SELECT event_id, body, next_at FROM outbox').toArray()[0] ?? null;
  }
  /** When to tell it again; null once everybody has been told. */
  postponeNews(next_at: number | null): void {
    this.#sql.exec('UPDATE outbox SET next_at = ?', next_at);
  }
}
