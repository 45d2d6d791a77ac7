/** Bootstrap intervals of an evaluation: sequences are drawn again, since tokens of one text are not independent. */
import { stream } from '../../../shared/math/random.ts';
import type { Interval } from '../../../shared/math/resample.ts';
import { bootstrapOverUnits } from '../../study/index.ts';
import type { SparseCodes } from '../codes/sparse-codes.ts';
import type { HeldOut } from './held-out.ts';
import { varianceOf } from './metrics.ts';

const DRAWS = 500;
/** Statistics of a sequence: tokens, |x|^2, |x - x_hat|^2, relative errors, codes. */
const PARTS = 5;

/** `fvu` is null where the activations do not vary. */
type MetricIntervals = { mse: Interval; nmse: Interval; fvu: Interval | null; l0: Interval };

/**
 * 95 % BCa intervals over sequences; the variance in the FVU is that of all tokens. Null for a single sequence, which says
 * nothing of how others would differ.
 */
export function metricIntervals(
  held: Pick<HeldOut, 'x' | 'sequences'>,
  reconstruction: Float32Array,
  codes: SparseCodes,
  inputs: number,
  seed: number,
): MetricIntervals | null {
  const names = [...new Set(held.sequences)];
  const index = new Map(names.map((sequence, i) => [sequence, i]));
  const parts = new Float64Array(names.length * PARTS);
  const mean = new Float64Array(inputs);
  let squares = 0;
  const rows = held.sequences.length;
  for (let row = 0; row < rows; row++) {
    const at = index.get(held.sequences[row]!)! * PARTS;
    let [square, error] = [0, 0];
    for (let i = row * inputs; i < (row + 1) * inputs; i++) {
      square += held.x[i]! ** 2;
      error += (held.x[i]! - reconstruction[i]!) ** 2;
      mean[i % inputs]! += held.x[i]! / rows;
    }
    let active = 0;
    for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
      if (codes.values[entry] !== 0) {
        active += 1;
      }
    }
    squares += square;
    [1, square, error, square > 0 ? error / square : 0, active].forEach((value, part) => {
      parts[at + part]! += value;
    });
  }
  const centre = mean.reduce((sum, value) => sum + value * value, 0);
  const intervals = bootstrapOverUnits({
    sums: parts,
    parts: PARTS,
    size: 4,
    draws: DRAWS,
    kind: 'bca',
    random: stream(seed, 'sae/intervals'),
    measures(sums, out) {
      const [tokens, square, error, relative, active] = sums as unknown as [number, number, number, number, number];
      out[0] = error / tokens / inputs;
      out[1] = relative / tokens;
      out[2] = error / tokens / (square / tokens - centre);
      out[3] = active / tokens;
    },
  });
  if (!intervals) {
    return null;
  }
  const [mse, nmse, fvu, l0] = intervals as [Interval, Interval, Interval, Interval];
  const constant = varianceOf(squares / rows, centre) === null;
  return { mse, nmse, fvu: constant ? null : fvu, l0 };
}
