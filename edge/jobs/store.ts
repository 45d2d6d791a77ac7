/**
 * The tables of one job's ledger object. They are created with the job, so that asking for an id that was never given
 * out leaves nothing behind.
 */
import type { JobEvent } from '../../shared/contracts/job-event.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import type { Checkpoint } from '../../shared/contracts/worker-call.ts';
import type { JobState } from './state.ts';

/** Made with the first checkpoint: few jobs have any. */
const CHECKPOINT_TABLE = `
  CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT, revision INTEGER NOT NULL,
    held INTEGER NOT NULL);`;
/**
 * Every table takes a page of the job's own file, and so does every index: dispatches are their own index, and events, of
 * which the newest is never deleted, need no table that counts them.
 */
const TABLES = `
  CREATE TABLE job (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, revision INTEGER NOT NULL,
    indexed INTEGER NOT NULL, params TEXT, params_ref TEXT, completion TEXT);
  CREATE TABLE dispatches (id TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE events (id INTEGER PRIMARY KEY, event TEXT NOT NULL, data TEXT NOT NULL);
  CREATE TABLE outbox (one INTEGER PRIMARY KEY CHECK (one = 1), event_id TEXT NOT NULL, body TEXT NOT NULL,
    tries INTEGER NOT NULL, next_at INTEGER, outcome TEXT);`;

/** Progress frames that are kept for clients that resume; status frames are few and all kept. */
const PROGRESS_FRAMES = 200;

type ParamsReference = { sha256: string; bytes: number };
export type StoredParams = { inline: Record<string, unknown> } | { reference: ParamsReference };
/** The job's end, until everybody who is to be told has been. */
type News = { event_id: string; body: string; next_at: number | null };

/** The job's row but for what can be large. */
type Row = { state: JobState; revision: number; indexed: number };
type CheckpointRow = { revision: number; held: number; empty: boolean };

/**
 * Nobody else writes these tables, and an object whose write fails is begun anew: what has been read or written is
 * remembered, and not read again.
 */
export class LedgerStore {
  readonly #sql: SqlStorage;
  #row: Row | null = null;
  #checkpoint: CheckpointRow | null = null;
  #hasCheckpoints = false;
  #news: News | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    const tables = sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name IN ('job', 'checkpoint')")
      .toArray()
      .map(({ name }) => name);
    if (!tables.includes('job')) {
      return;
    }
    const { state, ...row } = sql
      .exec<{ state: string; revision: number; indexed: number }>('SELECT state, revision, indexed FROM job')
      .one();
    this.#row = { ...row, state: JSON.parse(state) as JobState };
    this.#news = sql.exec<News>('SELECT event_id, body, next_at FROM outbox').toArray()[0] ?? null;
    this.#hasCheckpoints = tables.includes('checkpoint');
    const [checkpoint] = this.#hasCheckpoints
      ? sql
          .exec<{ revision: number; held: number; empty: number }>(
            'SELECT revision, held, body IS NULL AS empty FROM checkpoint',
          )
          .toArray()
      : [];
    this.#checkpoint = checkpoint ? { ...checkpoint, empty: checkpoint.empty === 1 } : null;
  }

  create(state: JobState, params: StoredParams): void {
    this.#sql.exec(TABLES);
    this.#sql.exec(
      'INSERT INTO job VALUES (1, ?, 1, 0, ?, ?, NULL)',
      JSON.stringify(state),
      'inline' in params ? JSON.stringify(params.inline) : null,
      'reference' in params ? JSON.stringify(params.reference) : null,
    );
    this.#row = { state, revision: 1, indexed: 0 };
  }

  forget(): void {
    this.#row = null;
    this.#checkpoint = null;
    this.#hasCheckpoints = false;
    this.#news = null;
  }

  load(): JobState | null {
    return this.#row?.state ?? null;
  }

  save(state: JobState, indexChanges: boolean): void {
    const row = this.#existing();
    row.state = state;
    row.revision += indexChanges ? 1 : 0;
    this.#sql.exec('UPDATE job SET state = ?, revision = ?', JSON.stringify(state), row.revision);
  }

  params(): StoredParams {
    const row = this.#sql
      .exec<{ params: string | null; params_ref: string | null }>('SELECT params, params_ref FROM job')
      .one();
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
    const { revision, indexed } = this.#existing();
    return { revision, indexed };
  }
  setIndexed(revision: number): void {
    const row = this.#existing();
    row.indexed = Math.max(row.indexed, revision);
    this.#sql.exec('UPDATE job SET indexed = ?', row.indexed);
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
    if (!this.#checkpoint || this.#checkpoint.empty) {
      return null;
    }
    const { body } = this.#sql.exec<{ body: string }>('SELECT body FROM checkpoint').one();
    return JSON.parse(body) as Checkpoint;
  }
  setCheckpoint(checkpoint: Checkpoint): void {
    if (!this.#hasCheckpoints) {
      this.#sql.exec(CHECKPOINT_TABLE);
      this.#hasCheckpoints = true;
    }
    const { revision, held } = this.#checkpoint ?? { revision: 0, held: 0 };
    this.#checkpoint = { revision: revision + 1, held, empty: false };
    this.#sql.exec(
      'INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)',
      JSON.stringify(checkpoint),
      revision + 1,
      held,
    );
  }
  dropCheckpoint(): void {
    if (this.#checkpoint && !this.#checkpoint.empty) {
      this.#checkpoint = { ...this.#checkpoint, revision: this.#checkpoint.revision + 1, empty: true };
      this.#sql.exec('UPDATE checkpoint SET body = NULL, revision = ?', this.#checkpoint.revision);
    }
  }
  /** The newest revision of the checkpoint, and the one whose blobs the job holds; null where there never was one. */
  checkpointRevisions(): { revision: number; held: number } | null {
    return this.#checkpoint;
  }
  setHeld(revision: number): void {
    if (this.#checkpoint) {
      this.#checkpoint = { ...this.#checkpoint, held: Math.max(this.#checkpoint.held, revision) };
      this.#sql.exec('UPDATE checkpoint SET held = ?', this.#checkpoint.held);
    }
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
    if (!this.#news) {
      this.#news = { event_id, body, next_at: at };
      this.#sql.exec('INSERT INTO outbox VALUES (1, ?, ?, 0, ?, NULL)', event_id, body, at);
    }
  }
  news(): News | null {
    return this.#news;
  }
  /** When to tell it again; null once everybody has been told. */
  postponeNews(next_at: number | null): void {
    if (this.#news) {
      this.#news = { ...this.#news, next_at };
      this.#sql.exec('UPDATE outbox SET next_at = ?', next_at);
    }
  }

  #existing(): Row {
    if (!this.#row) {
      throw new Error('the ledger has no job');
    }
    return this.#row;
  }
}
