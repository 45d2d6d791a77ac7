/** Logits of any streams that leave the last block. */
import * as g from '../../graph/index.ts';
import { headLogits, layerNormOf, storedParameters } from '../../lm/index.ts';
import type { Session } from '../../runtime/index.ts';
import { openApart } from './apart-graph.ts';
import type { NodeModel } from './node-model.ts';

export class HeadProgram {
  readonly #session: Session;
  readonly #width: number;

  private constructor(session: Session, width: number) {
    this.#session = session;
    this.#width = width;
  }

  static async open(nodes: NodeModel, threads?: number): Promise<HeadProgram> {
    const { folder, architecture: a } = nodes.model;
    const get = storedParameters(folder);
    const final = layerNormOf(a, folder.weights.finalNorm, get, g.input('streams', ['rows', a.width]));
    const logits = headLogits(a, folder.weights, get, final);
    return new HeadProgram(await openApart(nodes, { logits }, 'head', threads), a.width);
  }

  /** [rows, width] -> [rows, vocabulary] */
  async logits(streams: Float32Array): Promise<Float32Array> {
    const shape = [streams.length / this.#width, this.#width];
    return (await this.#session.run({ streams: { shape, data: streams } })).logits!.data as Float32Array;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}
