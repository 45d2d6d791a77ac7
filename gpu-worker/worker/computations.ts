/** The computing processes of a worker: one stands ready, with what earlier orders have opened. */
import type { Computation, Outlets } from './computation.ts';
import type { Order } from './computation-messages.ts';
import { type Output, StandingProcess } from './standing-process.ts';

/** Part of the memory limit that models and other things may take between orders. */
const STANDING_SHARE = 0.25;
/** Part of the memory limit above which an idle process is not kept. */
const KEPT_SHARE = 0.5;

type Setup = { scratch: string; cache: string; memory_limit_bytes: number; output: Output; yielding?: boolean };

export class Computations {
  readonly #setup: Setup;
  #standing: StandingProcess | null = null;
  /** All that run, those included that take no more orders. */
  readonly #processes = new Set<StandingProcess>();
  #closed = false;

  /** @param setup `scratch` and `cache` are folders; `yielding` processes let others compute first */
  constructor(setup: Setup) {
    this.#setup = setup;
  }

  /** Starts the process that the next order will find ready, where none is; what stands in its way shows with that order. */
  prepare(): void {
    try {
      this.#ready();
    } catch {
      // a full or broken disk: the order's own start says so
    }
  }

  /** @param alone in a process that computes nothing else before or beside it, or after */
  start(order: Order, outlets: Outlets, { alone = false }: { alone?: boolean } = {}): Computation {
    const standing = alone ? this.#new() : this.#ready();
    const computation = standing.start(order, outlets);
    void computation.ended.then((ending) => {
      const kept = ending.kind !== 'crashed' && !alone;
      if (!kept || standing.resident > KEPT_SHARE * this.#setup.memory_limit_bytes) {
        standing.retire();
      }
      if (!standing.fit && !standing.busy) {
        standing.kill();
        this.#processes.delete(standing);
      }
      if (!this.#closed) {
        this.prepare();
      }
    });
    return computation;
  }

  /** Nothing of these blobs and jobs is kept. */
  forget(digests: readonly string[]): void {
    for (const standing of this.#processes) {
      standing.forget(digests);
    }
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    this.#closed = true;
    const processes = [...this.#processes];
    for (const standing of processes) {
      standing.kill();
    }
    await Promise.all(processes.map(({ ended }) => ended));
  }

  #ready(): StandingProcess {
    if (!this.#standing?.fit) {
      this.#standing = this.#new();
    }
    return this.#standing;
  }

  #new(): StandingProcess {
    const { scratch, cache, memory_limit_bytes, output, yielding = false } = this.#setup;
    const standing = new StandingProcess({
      scratch,
      cache,
      standing_bytes: Math.floor(STANDING_SHARE * memory_limit_bytes),
      limit_bytes: memory_limit_bytes,
      output,
      yielding,
    });
    this.#processes.add(standing);
    void standing.ended.then(() => this.#processes.delete(standing));
    return standing;
  }
}
