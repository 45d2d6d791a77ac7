/** The computing process's side of saving checkpoints: each goes to the worker process under a number, which answers it. */
import type { CheckpointAnswer, Report, Urgency, WrittenCheckpoint } from './computation-messages.ts';

export class CheckpointLine {
  readonly #report: (message: Report) => void;
  readonly #waiting = new Map<number, (kept: boolean) => void>();
  #last = 0;
  /** Set when the attempt is about to be stopped. */
  urgent = false;

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

  heard(message: CheckpointAnswer | Urgency): void {
    if (message.kind === 'urgent') {
      this.urgent = true;
      return;
    }
    const { number, kept } = message;
    this.#waiting.get(number)?.(kept);
    this.#waiting.delete(number);
  }
}
