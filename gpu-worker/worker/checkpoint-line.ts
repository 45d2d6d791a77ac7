/** The computing process's side of saving checkpoints: each goes to the worker process under a number, which answers it. */
import type { CheckpointAnswer, Report, WrittenCheckpoint } from './computation-messages.ts';

export class CheckpointLine {
  readonly #report: (message: Report) => void;
  readonly #waiting = new Map<number, (kept: boolean) => void>();
  #last = 0;

  constructor(report: (message: Report) => void) {
    this.#report = report;
  }

  /** Whether the edge has taken the checkpoint. */
  send(checkpoint: WrittenCheckpoint): Promise<boolean> {
    const number = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      this.#report({ kind: 'checkpoint', number, checkpoint });
    });
  }

  answered({ number, kept }: CheckpointAnswer): void {
    this.#waiting.get(number)?.(kept);
    this.#waiting.delete(number);
  }
}
