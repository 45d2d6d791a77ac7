/** The same edits in the weights: what every matrix that writes into the stream writes along a direction. */
import type { Linear } from '../../../shared/models/architecture.ts';
import { type ModelFolder, readWeight, type SidePath, sizesOf, withPair } from '../../lm/index.ts';
import { dot } from '../vectors.ts';

export type Half = 'attention' | 'mlp';

/** The matrices that write into the stream, of these blocks (all where left out). */
export const writersOf = (
  { weights }: ModelFolder,
  { blocks, halves = ['attention', 'mlp'] }: { blocks?: readonly number[]; halves?: readonly Half[] } = {},
): Linear[] =>
  weights.layers.flatMap(({ output, down, experts }, layer) =>
    blocks && !blocks.includes(layer)
      ? []
      : [
          ...(halves.includes('attention') ? [output] : []),
          ...(halves.includes('mlp') ? (down ? [down] : (experts?.each ?? []).map((expert) => expert.down)) : []),
        ],
  );

/** Whether a norm follows what attention and MLP write: it turns an edited output back. */
export const hasPostNorms = ({ weights }: ModelFolder): boolean =>
  weights.layers.some(({ postAttentionNorm, postMlpNorm }) => postAttentionNorm !== null || postMlpNorm !== null);

/** u' W over inputs: what a matrix writes along u. */
export function writtenAlong(folder: ModelFolder, linear: Linear, unit: ArrayLike<number>): Float64Array {
  const { out, inputs } = sizesOf(linear);
  const values = readWeight(folder, linear.weight.name);
  const along = new Float64Array(inputs);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inputs; i++) {
      along[i]! += unit[o]! * values[linear.layout === 'out_in' ? o * inputs + i : i * out + o]!;
    }
  }
  return along;
}

/**
 * What a matrix writes along u times `factor`, as a path beside it: W + (factor - 1) u u' W, and its bias likewise. Factor 0
 * removes the direction, 1 + alpha is variant A of a repair.
 */
function scaledWriter(folder: ModelFolder, linear: Linear, unit: ArrayLike<number>, factor: number): SidePath {
  const along = writtenAlong(folder, linear, unit);
  const bias = linear.bias ? readWeight(folder, linear.bias.name) : null;
  const written = bias ? (factor - 1) * dot(unit, bias) : 0;
  return {
    pair: { left: Float32Array.from(unit), right: Float32Array.from(along, (value) => (factor - 1) * value) },
    constant: written === 0 ? null : Float32Array.from(unit, (value) => written * value),
  };
}

export const scaledWriters = (
  folder: ModelFolder,
  unit: ArrayLike<number>,
  factor: number,
  which: Parameters<typeof writersOf>[1] = {},
): Map<string, SidePath> =>
  new Map(writersOf(folder, which).map((linear) => [linear.weight.name, scaledWriter(folder, linear, unit, factor)]));

/**
 * Side paths as dense weights: the pairs in the matrices, the constants in the biases.
 * @returns new values by name, and the constants that no bias could take
 */
export function merged(
  folder: ModelFolder,
  paths: ReadonlyMap<string, SidePath>,
): { weights: Map<string, Float32Array>; left: Map<string, SidePath> } {
  const weights = new Map<string, Float32Array>();
  const left = new Map<string, SidePath>();
  for (const linear of writersOf(folder)) {
    const path = paths.get(linear.weight.name);
    if (!path) {
      continue;
    }
    if (path.pair) {
      weights.set(linear.weight.name, withPair(linear, readWeight(folder, linear.weight.name), path.pair));
    }
    if (path.constant && linear.bias) {
      const bias = readWeight(folder, linear.bias.name);
      weights.set(
        linear.bias.name,
        bias.map((value, i) => value + path.constant![i]!),
      );
    } else if (path.constant) {
      left.set(linear.weight.name, { pair: null, constant: path.constant });
    }
  }
  return { weights, left };
}

/**
 * Every weight that writes into the stream without what it writes along u: (I - u u') on the output matrices, their biases
 * and each row of the embeddings. Affine removal leaves a projection of `mean` in every embedding row.
 */
export function ablatedWeights(folder: ModelFolder, unit: Float32Array, mean = 0): Map<string, Float32Array> {
  const { weights, architecture } = folder;
  const { weights: edited } = merged(folder, scaledWriters(folder, unit, 0));
  // The stream has the embedding times its scale, and learned positions where there are some.
  edited.set(
    weights.embedding.name,
    rowsWithout(readWeight(folder, weights.embedding.name), unit, mean / architecture.embeddingScale),
  );
  if (weights.positions) {
    edited.set(weights.positions.name, rowsWithout(readWeight(folder, weights.positions.name), unit, 0));
  }
  return edited;
}

function rowsWithout(rows: Float32Array, unit: Float32Array, mean: number): Float32Array {
  const width = unit.length;
  const out = new Float32Array(rows.length);
  for (let from = 0; from < rows.length; from += width) {
    const along = dot(rows.subarray(from, from + width), unit);
    for (let i = 0; i < width; i++) {
      out[from + i] = rows[from + i]! + (mean - along) * unit[i]!;
    }
  }
  return out;
}
