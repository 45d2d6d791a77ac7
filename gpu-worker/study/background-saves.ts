/** Checkpoints beside the work: one at a time and never awaited. What they upload, the completion need not upload again. */
import type { BlobContent, Checkpoints } from './checkpoints.ts';

export class BackgroundSaves {
  readonly #checkpoints: Checkpoints;
  readonly #pause_ms: () => number;
  #busy = false;
  #dueAt = 0;

  /** @param pause_ms shortest time between two saves, asked for after each */
  constructor(checkpoints: Checkpoints, pause_ms: () => number = () => 1000) {
    this.#checkpoints = checkpoints;
    this.#pause_ms = pause_ms;
  }

  /** Whether the next save may begin; what is there to be saved waits for a later one otherwise. */
  get due(): boolean {
    return !this.#busy && (this.#checkpoints.urgent || performance.now() >= this.#dueAt);
  }

  /** Begins to save; what fails is worth a line in the log and no more. Settles when the parts are needed no longer. */
  begin(state: Record<string, unknown>, parts: readonly { name: string; content: BlobContent }[]): Promise<void> {
    const began = performance.now();
    this.#busy = true;
    return this.#checkpoints
      .save(state, parts)
      .then(() => {})
      .catch((error: unknown) => console.error('checkpoint:', String(error)))
      .finally(() => {
        const now = performance.now();
        this.#busy = false;
        // A slow line gets pauses as long as what they follow.
        this.#dueAt = now + Math.max(this.#pause_ms(), now - began);
      });
  }
}
