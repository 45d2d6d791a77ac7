/** Runs in which chosen edges carry what their source gave in another run, many sets of edges at a time. */
import { groups } from '../../lm/index.ts';
import { EdgeProgram } from '../network/edge-program.ts';
import type { NodeModel } from '../network/node-model.ts';
import type { Recording } from '../network/recording.ts';

const ROWS = 32;

type Batch = {
  ids: readonly ArrayLike<number>[];
  reference: Recording;
  positions?: Float32Array | null;
};

/** The edge program of a model, opened when it is first asked for. */
export class EdgeRuns {
  readonly #nodes: NodeModel;
  readonly #threads: number | undefined;
  #program: Promise<EdgeProgram> | null = null;

  constructor(nodes: NodeModel, threads?: number) {
    this.#nodes = nodes;
    this.#threads = threads;
  }

  /**
   * For each variant, the logits of every row with its edges changed.
   * @param variants shares [sources, readers] of the reference in every edge; read while they are asked for
   */
  async run(
    { ids, reference, positions }: Batch,
    variants: Iterable<Float32Array>,
    each: (variant: number, logits: Float32Array) => void,
  ): Promise<void> {
    const { graph, model } = this.#nodes;
    const { vocabulary } = model.architecture;
    const rows = ids.length;
    const together = Math.max(1, Math.floor(ROWS / rows));
    const size = graph.sources.length * graph.readers.length;
    let done = 0;
    for await (const chunk of groups(variants, together)) {
      const share = new Float32Array(chunk.length * rows * size);
      for (const [i, one] of chunk.entries()) {
        for (let row = 0; row < rows; row++) {
          share.set(one, (i * rows + row) * size);
        }
      }
      this.#program ??= EdgeProgram.open(this.#nodes, this.#threads);
      const logits = await (await this.#program).run({
        ids: chunk.flatMap(() => [...ids]),
        reference,
        pairs: chunk.flatMap(() => ids.map((_, row) => row)),
        share,
        positions: positions ? Float32Array.from(chunk.flatMap(() => [...positions])) : null,
      });
      for (const i of chunk.keys()) {
        each(done + i, logits.subarray(i * rows * vocabulary, (i + 1) * rows * vocabulary));
      }
      done += chunk.length;
    }
  }

  async release(): Promise<void> {
    await (await this.#program)?.release();
    this.#program = null;
  }
}
