/** What sources add to the stream, as tensors [batch, seq, sources, width], collected while a graph is built. */
import type { LayerWeights } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { headOutputs, type ModelFolder, type Parameters, weightValue } from '../../lm/index.ts';
import { ROWS } from './apart-graph.ts';

type Tensor = g.Tensor;

export class SourceOutputs {
  readonly #folder: ModelFolder;
  readonly #get: Parameters;
  readonly #marked: Tensor | null;
  readonly #parts: Tensor[] = [];
  readonly #joined = new Map<number, Tensor>();

  /** @param marked [batch, seq, 1]: positions that count */
  constructor(folder: ModelFolder, get: Parameters, marked: Tensor | null = null) {
    this.#folder = folder;
    this.#get = get;
    this.#marked = marked;
  }

  /** Of the next source: [batch, seq, width]. */
  push(x: Tensor): void {
    const { width } = this.#folder.architecture;
    const counted = this.#marked ? g.mul(x, this.#marked) : x;
    this.#parts.push(g.reshape(counted, ['batch', 'seq', 1, width], x));
  }

  /** Of the heads of a layer, which come next, by their values [batch, seq, heads * headDim]. */
  pushHeads(z: Tensor, { output }: LayerWeights): void {
    const { architecture: a } = this.#folder;
    const counted = this.#marked ? g.mul(z, this.#marked) : z;
    const byHead = g.transpose(g.reshape(counted, [ROWS, a.heads, a.headDim]), [1, 0, 2]);
    const made = g.matmul(
      byHead,
      headOutputs(a, output, (weight) => weightValue(this.#get, weight)),
    );
    this.#parts.push(g.reshape(g.transpose(made, [1, 0, 2]), ['batch', 'seq', a.heads, a.width], z));
  }

  /** The first `count` sources, [batch, seq, count, width]; a layer's heads are taken together. */
  first(count: number): Tensor {
    const known = this.#joined.get(count);
    if (known) {
      return known;
    }
    const taken: Tensor[] = [];
    let sources = 0;
    for (const part of this.#parts) {
      if (sources === count) {
        break;
      }
      taken.push(part);
      sources += part.shape[2] as number;
    }
    const joined = taken.length === 1 ? taken[0]! : g.concat(taken, 2);
    this.#joined.set(count, joined);
    return joined;
  }
}
