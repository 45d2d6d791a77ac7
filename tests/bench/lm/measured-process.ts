/** A child process that does timed work on command: one line of JSON in, one line out. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export type Task = { op: 'prefill' | 'decode'; batch: number; seq: number; tokens?: number };

export class MeasuredProcess {
  /** What its first line says of it. */
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #next: () => Promise<string>;

  private constructor(child: ChildProcess, next: () => Promise<string>, version: string) {
    this.#child = child;
    this.#next = next;
    this.version = version;
  }

  /** Starts a program that prints its version when it is ready. Raises an Error where it ends before. */
  static async start(command: string, args: string[], options: SpawnOptions = {}): Promise<MeasuredProcess> {
    const child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'ignore'] });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const { value, done } = await lines.next();
      if (done) {
        throw new Error(`${command} ended`);
      }
      return value;
    };
    return new MeasuredProcess(child, next, await next());
  }

  /** Milliseconds that a task took. */
  async time(task: Task): Promise<number> {
    this.#child.stdin!.write(`${JSON.stringify(task)}\n`);
    return Number(await this.#next());
  }

  stop(): void {
    this.#child.stdin!.end();
  }
}
