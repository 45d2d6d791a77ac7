/** Rows to learn from: features, and classes or values to be predicted. */
import { stream } from '../../../shared/math/random.ts';

export type Task = { kind: 'classes'; outputs: number } | { kind: 'values'; outputs: number };
/** `x` is [rows, width]; `classes` [rows] or `values` [rows, outputs]. */
export type Samples = { rows: number; width: number; x: Float32Array; y: Float32Array };

/** The rows at these positions. */
export function takeSamples({ width, x, y, rows }: Samples, positions: ArrayLike<number>): Samples {
  const columns = y.length / rows;
  const [outX, outY] = [new Float32Array(positions.length * width), new Float32Array(positions.length * columns)];
  for (let i = 0; i < positions.length; i++) {
    const row = positions[i]!;
    outX.set(x.subarray(row * width, (row + 1) * width), i * width);
    outY.set(y.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return { rows: positions.length, width, x: outX, y: outY };
}

/** Random disjoint parts of these sizes; what is left over belongs to none. */
export function splitSamples(all: Samples, sizes: readonly number[], seed: number): Samples[] {
  const order = stream(seed, 'split').permutation(all.rows);
  let from = 0;
  return sizes.map((size) => {
    from += size;
    return takeSamples(all, order.subarray(from - size, from));
  });
}

/** Positions of the rows of a step (from 0): every epoch takes all rows in an order of its own; an incomplete batch is left out. */
export function batchPositions(rows: number, batch: number, seed: number): (step: number) => Uint32Array {
  const perEpoch = Math.floor(rows / batch);
  let known: { epoch: number; order: Uint32Array } | undefined;
  return (step) => {
    const [epoch, at] = [Math.floor(step / perEpoch), step % perEpoch];
    if (known?.epoch !== epoch) {
      known = { epoch, order: stream(seed, 'batches').derive(epoch).permutation(rows) };
    }
    return known.order.subarray(at * batch, (at + 1) * batch);
  };
}
