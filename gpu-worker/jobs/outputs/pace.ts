/** Progress of a job of several stages: how far it is, counts beside it, and the seconds that it will still take. */
import type { JobContext } from '../handler.ts';

export class Pace {
  readonly #context: Pick<JobContext<unknown>, 'progress'>;
  readonly #stages: number;
  readonly #began = performance.now();
  #done = 0;
  #stage = 'reading';
  #counts: Record<string, number> = {};
  #sums: Record<string, number> = {};

  /** @param stages of about equal length */
  constructor(context: Pick<JobContext<unknown>, 'progress'>, stages: number) {
    this.#context = context;
    this.#stages = stages;
  }

  /** Adds to counts that are told with the next progress. */
  count(more: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(more)) {
      this.#sums[name] = (this.#sums[name] ?? 0) + value;
    }
  }

  /** A share of the current stage is done. */
  at(share: number, stage: string, counts: Readonly<Record<string, number>>): void {
    this.#tell(this.#done + share, stage, counts);
  }

  /** The current stage is done; the next is called so. */
  next(stage: string): void {
    this.to(this.#done + 1, stage, {});
  }

  /** So many stages are done. */
  to(done: number, stage: string, counts: Readonly<Record<string, number>>): void {
    this.#done = done;
    this.#tell(done, stage, counts);
  }

  #tell(done: number, stage: string, counts: Readonly<Record<string, number>>): void {
    this.#stage = stage;
    this.#counts = { ...this.#counts, ...counts };
    const fraction = Math.min(1, done / this.#stages);
    const seconds = (performance.now() - this.#began) / 1000;
    const left = fraction > 0 ? { seconds_left: (seconds * (1 - fraction)) / fraction } : {};
    const metrics = { ...this.#counts, ...this.#sums, ...left };
    this.#context.progress({ fraction: 0.98 * fraction, stage: this.#stage, metrics });
  }
}
