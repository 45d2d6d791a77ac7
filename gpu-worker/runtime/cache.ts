/** Loaded programs kept for reuse, within a byte budget. The only state that outlives a call, and it is explicit. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from '../graph/index.ts';
import { EngineError } from './errors.ts';
import { Session, type SessionOptions } from './session.ts';

type Entry = { key: string; bytes: number; session: Promise<Session>; users: number };

/** Sessions by program and options; the least recently used go when the budget is exceeded. */
export class SessionCache {
  readonly budget: number;
  private readonly entries = new Map<string, Entry>();

  /** @param budget bytes that loaded programs may take together, by `sessionBytes` */
  constructor(budget: number) {
    this.budget = budget;
  }

  /** Bytes of the programs held now. */
  get bytes(): number {
    let total = 0;
    for (const entry of this.entries.values()) total += entry.bytes;
    return total;
  }

  get size(): number {
    return this.entries.size;
  }

  /**
   * Runs `work` with the session for this program, loading it if needed. A session in use is never released. Raises
   * `memory_budget_exceeded` for a program that alone exceeds the budget.
   */
  async use<T>(program: Program, options: SessionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    const entry = await this.entry(program, options);
    entry.users += 1;
    try {
      return await work(await entry.session);
    } catch (error) {
      if (await failedToLoad(entry.session)) this.entries.delete(entry.key);
      throw error;
    } finally {
      entry.users -= 1;
      await this.shrink();
    }
  }

  private async entry(program: Program, options: SessionOptions): Promise<Entry> {
    const key = keyOf(program, options);
    const known = this.entries.get(key);
    if (known) {
      // Last in the map's order is most recently used.
      this.entries.delete(key);
      this.entries.set(key, known);
      return known;
    }
    const bytes = sessionBytes(program, options);
    if (bytes > this.budget) {
      const message = `${program.name} takes about ${bytes} bytes; the cache may hold ${this.budget}`;
      throw new EngineError('memory_budget_exceeded', message);
    }
    const entry: Entry = { key, bytes, users: 0, session: Session.create(program, options) };
    this.entries.set(key, entry);
    return entry;
  }

  private async shrink(): Promise<void> {
    for (const entry of [...this.entries.values()]) {
      if (this.bytes <= this.budget) return;
      if (entry.users === 0) await this.drop(entry);
    }
  }

  private async drop(entry: Entry): Promise<void> {
    this.entries.delete(entry.key);
    await (await entry.session).release();
  }

  /** Releases every session that is not in use. */
  async clear(): Promise<void> {
    for (const entry of [...this.entries.values()]) if (entry.users === 0) await this.drop(entry);
  }
}

const failedToLoad = (session: Promise<Session>): Promise<boolean> =>
  session.then(
    () => false,
    () => true,
  );

/** Bytes that a loaded program takes: its own, and the weight files it reads. */
export function sessionBytes(program: Program, { weightsFolder }: SessionOptions): number {
  const files = weightsFolder === undefined ? [] : program.weightFiles;
  return files.reduce((total, file) => total + statSync(join(weightsFolder!, file)).size, program.bytes.byteLength);
}

function keyOf(program: Program, { onDevice, ...options }: SessionOptions): string {
  const hash = createHash('sha256').update(program.bytes).update(JSON.stringify(options));
  if (onDevice) hash.update(program.outputs.map(({ name }) => (onDevice(name) ? '1' : '0')).join(''));
  return hash.digest('hex');
}
