/** Timing of training steps and of plain matrix products. */
import * as g from '../../../gpu-worker/graph/index.ts';
import { adam } from '../../../gpu-worker/nn/index.ts';
import { Session } from '../../../gpu-worker/runtime/index.ts';
import { type ChunkResult, Trainer } from '../../../gpu-worker/training/index.ts';
import type { Model } from './models.ts';

/** A model under training, timed chunk by chunk. */
export class Timed {
  readonly model: Model;
  readonly #trainer: Trainer;
  readonly #results: AsyncGenerator<ChunkResult>;

  private constructor(model: Model, trainer: Trainer, steps: number) {
    this.model = model;
    this.#trainer = trainer;
    const feeds = model.feeds(steps);
    async function* endless() {
      for (;;) {
        yield { steps, feeds };
      }
    }
    this.#results = trainer.run(endless);
  }

  static async create(model: Model, threads: number, steps: number): Promise<Timed> {
    const options = { name: 'bench', loss: model.loss, optimiser: adam(), rate: 1e-3, threads };
    return new Timed(model, await Trainer.create(options), steps);
  }

  /** Seconds per step of one chunk, everything included. */
  async measure(): Promise<number> {
    const began = performance.now();
    const { value } = await this.#results.next();
    return (performance.now() - began) / 1000 / (value as ChunkResult).steps;
  }

  async release(): Promise<void> {
    await this.#results.return(undefined);
    await this.#trainer.release();
  }
}

/** Products whose rate is measured: one large square and the largest of the SAE step. */
const SHAPES = [
  [2048, 2048, 2048],
  [2048, 512, 4096],
] as const;

/** The rate of plain matrix products in FLOP/s, by shape; results stay in the runtime. */
export async function matmulRates(threads: number): Promise<{ measure(): Promise<number>; release(): Promise<void> }> {
  const runs = await Promise.all(
    SHAPES.map(async ([m, k, n]) => {
      const y = g.slice(g.slice(g.matmul(g.input('a', [m, k]), g.input('b', [k, n])), 0, 0, 1), 1, 0, 1);
      const session = await Session.create(g.compile({ y }, { name: 'matmul' }), { threads });
      const feeds = { a: new Float32Array(m * k).fill(0.5), b: new Float32Array(k * n).fill(0.25) };
      return { session, feeds, flop: 2 * m * k * n };
    }),
  );
  return {
    async measure() {
      let best = 0;
      for (const { session, feeds, flop } of runs) {
        const began = performance.now();
        await session.run(feeds);
        best = Math.max(best, flop / ((performance.now() - began) / 1000));
      }
      return best;
    },
    async release() {
      for (const { session } of runs) {
        await session.release();
      }
    },
  };
}
