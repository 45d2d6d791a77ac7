/** One order in a computing process: what it reports, and how it ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Progress } from '../../shared/contracts/job.ts';
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import { MOST_MODELS } from '../../shared/contracts/worker-call.ts';
import type { ComputationFailure } from './computation-failure.ts';
import type { CheckpointAnswer, Report, Stop, Urgency, Written, WrittenCheckpoint } from './computation-messages.ts';

/** How a computation ended. `stopped` is the reason this side gave for killing it. */
export type Ending =
  | { kind: 'done'; written: Written }
  | ({ kind: 'failed' } & ComputationFailure)
  /** `started`: its process had come far enough to take orders. */
  | { kind: 'crashed'; detail: string; started: boolean }
  | { kind: 'stopped'; reason: string };

/** Where what an order says on the way goes. */
export type Outlets = {
  /** Takes a checkpoint to where other workers find it, and says whether it lies there. */
  keep(checkpoint: WrittenCheckpoint): Promise<boolean>;
  /** Takes what was generated to those who follow the job. */
  tokens(piece: TokenPiece): void;
};

/** What an order can do to its process; `shared` says whether others compute there as well. */
type Line = { tell(message: CheckpointAnswer | Urgency | Stop): void; kill(): void; shared(): boolean };

/** The process was ended on account of another order. */
export const DISPLACED = 'displaced';
/** How long an order may take to end by itself where others share its process. */
const STOP_MS = 400;

export class Computation {
  /** Latest progress that was not yet taken. */
  progress: Progress | null = null;
  /** When it last reported anything, on the clock of `performance.now`. */
  heardAt = performance.now();
  readonly models: ModelDescription[] = [];
  readonly ended: Promise<Ending>;
  readonly #end: (ending: Ending) => void;
  readonly #outlets: Outlets;
  readonly #line: Line;
  #stopReason: string | null = null;
  #over = false;

  constructor(outlets: Outlets, line: Line) {
    this.#outlets = outlets;
    this.#line = line;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    this.#end = (ending) => {
      this.#over = true;
      resolve(ending);
    };
  }

  /** Whether it has given its result, failed or been stopped. */
  get over(): boolean {
    return this.#over || this.#stopReason !== null;
  }

  takeProgress(): Progress | null {
    const { progress } = this;
    this.progress = null;
    return progress;
  }

  /** Asks for a checkpoint as soon as the present chunk is done. */
  hurry(): void {
    this.#line.tell({ kind: 'urgent' });
  }

  /**
   * Ends the order: by itself between two tokens where others share its process and it can, else with its process, at once.
   * `ended` then says `stopped`, unless it was over already.
   */
  stop(reason: string): void {
    if (!this.#over) {
      this.#stopReason ??= reason;
      if (!this.#line.shared()) {
        this.#line.kill();
        return;
      }
      this.#line.tell({ kind: 'stop' });
      void sleep(STOP_MS, undefined, { ref: false }).then(() => {
        if (!this.#over) {
          this.#line.kill();
        }
      });
    }
  }

  heard(report: Report): void {
    this.heardAt = performance.now();
    switch (report.kind) {
      case 'progress':
        this.progress = report.progress;
        return;
      case 'tokens':
        this.#outlets.tokens(report.piece);
        return;
      case 'model':
        // What is beyond the limit is described when a later job opens it.
        if (this.models.length < MOST_MODELS) {
          this.models.push(report.model);
        }
        return;
      case 'checkpoint':
        void this.#checkpoint(report.number, report.checkpoint);
        return;
      default: {
        const { clean: _clean, ...ending } = report;
        // What was stopped stays stopped, though its last word was on the way.
        this.#end(this.#stopReason ? { kind: 'stopped', reason: this.#stopReason } : ending);
      }
    }
  }

  /** The process has ended without a last word about this order. */
  processEnded(detail: string, { displaced, started }: { displaced: boolean; started: boolean }): void {
    if (displaced) {
      this.#stopReason ??= DISPLACED;
    }
    this.#end(this.#stopReason ? { kind: 'stopped', reason: this.#stopReason } : { kind: 'crashed', detail, started });
  }

  async #checkpoint(number: number, checkpoint: WrittenCheckpoint): Promise<void> {
    const kept = await this.#outlets.keep(checkpoint);
    this.#line.tell({ kind: 'checkpoint', number, kept });
  }
}
