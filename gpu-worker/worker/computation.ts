/**
 * A job's computation in a process of its own. onnxruntime blocks its thread and cannot be interrupted, so killing the
 * process is the only way to stop it within a moment; this side watches it and never computes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Progress } from '../../shared/contracts/job.ts';
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { ComputationFailure } from './computation-failure.ts';
import type { CheckpointAnswer, Order, Report, Urgency, Written, WrittenCheckpoint } from './computation-messages.ts';

const ENTRY = join(import.meta.dirname, 'computation-process.ts');
const MEMORY_WATCH_MS = 100;

/** How a computation ended. `stopped` is the reason this side gave for killing it. */
export type Ending =
  | { kind: 'done'; written: Written }
  | ({ kind: 'failed' } & ComputationFailure)
  | { kind: 'crashed'; detail: string }
  | { kind: 'stopped'; reason: string };

export class Computation {
  /** Latest progress that was not yet taken. */
  progress: Progress | null = null;
  readonly models: ModelDescription[] = [];
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  readonly #keep: (checkpoint: WrittenCheckpoint) => Promise<boolean>;
  #stopReason: string | null = null;
  #last: Ending | null = null;

  /** @param keep takes a checkpoint to where other workers find it, and says whether it lies there */
  constructor(order: Order, keep: (checkpoint: WrittenCheckpoint) => Promise<boolean>) {
    this.#keep = keep;
    // The worker's own secrets stay here: a handler gets what its configuration names, by message.
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('SEXTANT_')),
    );
    this.#process = spawn(process.execPath, [ENTRY], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Compiled code is kept, which halves what starting a process costs.
      env: { ...environment, NODE_COMPILE_CACHE: join(order.configuration.cache, 'compiled') },
    });
    this.#process.on('message', (report: Report) => this.#heard(report));
    this.ended = new Promise((resolve) => {
      this.#process.on('error', (error) => resolve({ kind: 'crashed', detail: String(error) }));
      this.#process.on('exit', (code, signal) =>
        resolve(
          this.#stopReason
            ? { kind: 'stopped', reason: this.#stopReason }
            : (this.#last ?? {
                kind: 'crashed',
                detail: `the process ended with ${signal ? `signal ${signal}` : `status ${code}`} before it had a result`,
              }),
        ),
      );
    });
    this.#process.send(order, () => {});
    void this.#watchMemory(order.configuration.memory_limit_bytes);
  }

  takeProgress(): Progress | null {
    const { progress } = this;
    this.progress = null;
    return progress;
  }

  /** Asks for a checkpoint as soon as the present chunk is done. */
  hurry(): void {
    const urgency: Urgency = { kind: 'urgent' };
    if (this.#process.connected) {
      this.#process.send(urgency, () => {});
    }
  }

  /** Ends the process at once; `ended` then says `stopped`, unless it was over already. */
  stop(reason: string): void {
    this.#stopReason ??= this.#last ? null : reason;
    this.#process.kill('SIGKILL');
  }

  #heard(report: Report): void {
    switch (report.kind) {
      case 'progress':
        this.progress = report.progress;
        return;
      case 'model':
        this.models.push(report.model);
        return;
      case 'checkpoint':
        void this.#checkpoint(report.number, report.checkpoint);
        return;
      default:
        // The process stays until it is told to go: a report could otherwise arrive after its end.
        this.#last = report;
        this.#process.kill('SIGKILL');
    }
  }

  async #checkpoint(number: number, checkpoint: WrittenCheckpoint): Promise<void> {
    const answer: CheckpointAnswer = { kind: 'checkpoint', number, kept: await this.#keep(checkpoint) };
    // The process may be gone by now.
    if (this.#process.connected) {
      this.#process.send(answer, () => {});
    }
  }

  async #watchMemory(limit: number): Promise<void> {
    const over = () => this.#process.exitCode !== null || this.#process.signalCode !== null;
    while (!over() && this.#process.pid) {
      const used = residentBytes(this.#process.pid);
      if (used > limit) {
        return this.stop('memory');
      }
      await sleep(MEMORY_WATCH_MS, undefined, { ref: false });
    }
  }
}

/** Resident memory of a process in bytes, 0 where it cannot be read: the second field of statm counts pages. */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return 0;
  }
}
