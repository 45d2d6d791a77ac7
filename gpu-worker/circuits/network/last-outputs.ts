/** What every source adds to the stream at the last position of each row, on the host. */
import type { Linear } from '../../../shared/models/architecture.ts';
import { type ModelFolder, readWeight } from '../../lm/index.ts';
import type { NodeModel } from './node-model.ts';
import type { Recording } from './recording.ts';

/** A layer's output projection, head by head: entry [input, output] of the whole matrix. */
type Projection = { at(input: number, output: number): number };

export class LastOutputs {
  readonly #nodes: NodeModel;
  readonly #projections = new Map<number, Projection>();

  constructor(nodes: NodeModel) {
    this.#nodes = nodes;
  }

  /** [width] of one source in one row of a recording. */
  of(recording: Recording, row: number, source: number): Float64Array {
    const { graph, model } = this.#nodes;
    const { width, heads, headDim } = model.architecture;
    const place = graph.placeOf(source);
    const position = (row + 1) * recording.seq - 1;
    if (place === null || place.head === null) {
      const values = place === null ? recording.input : recording.mlp[place.layer]!;
      return Float64Array.from(values.subarray(position * width, (position + 1) * width));
    }
    const { layer, head } = place;
    const projection = this.#projection(layer);
    const z = recording.z[layer]!;
    const out = new Float64Array(width);
    for (let i = 0; i < headDim; i++) {
      const value = z[position * heads * headDim + head * headDim + i]!;
      for (let j = 0; j < width; j++) {
        out[j]! += value * projection.at(head * headDim + i, j);
      }
    }
    return out;
  }

  #projection(layer: number): Projection {
    const { folder } = this.#nodes.model;
    const known = this.#projections.get(layer) ?? projectionOf(folder, folder.weights.layers[layer]!.output);
    this.#projections.set(layer, known);
    return known;
  }
}

function projectionOf(folder: ModelFolder, { weight, layout }: Linear): Projection {
  const values = readWeight(folder, weight.name);
  const columns = weight.shape[1]!;
  return layout === 'in_out'
    ? { at: (input, output) => values[input * columns + output]! }
    : { at: (input, output) => values[output * columns + input]! };
}
