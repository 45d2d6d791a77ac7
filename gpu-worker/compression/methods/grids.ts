/** Whole-number grids: scales and zero points by row or by runs of inputs, and rounding to them. */

export type GridKind =
  /** Round to nearest, symmetric: codes -(2^(b-1) - 1) .. 2^(b-1) - 1, scale = max|w| / (2^(b-1) - 1). */
  | 'symmetric'
  /** Over [min(0, w), max(0, w)] with a zero point. */
  | 'asymmetric'
  /** GPTQ's symmetric grid over [-max|w|, max|w|]: 2^b codes, zero point in their middle. */
  | 'centred';

/** Codes of a matrix [out, in], scales and zero points [out, groups]: w = scale * (code - zero). */
export type Rounded = {
  values: Float32Array;
  codes: Int16Array;
  scales: Float32Array;
  zeros: Float32Array;
  groups: number;
  /** Group of each input. */
  groupOf: Int32Array;
};

/** Half to even, as the reference implementations round. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) {
    return Math.round(x);
  }
  return floor % 2 === 0 ? floor : floor + 1;
}

/** `scale` decides the code; `step`, the same as it is stored in single precision, what the code is worth. */
export type Grid = { scale: number; step: number; zero: number; low: number; high: number };

/** The grid of weights w[from .. from + count). A run of zeros alone gets the scale 1. */
export function gridOf(kind: GridKind, bits: number, w: ArrayLike<number>, from: number, count: number): Grid {
  let [low, high] = [0, 0];
  for (let i = from; i < from + count; i++) {
    const value = w[i]!;
    if (value < low) {
      low = value;
    }
    if (value > high) {
      high = value;
    }
  }
  const largest = Math.max(-low, high);
  const top = 2 ** bits - 1;
  const grid = (scale: number, rest: Pick<Grid, 'zero' | 'low' | 'high'>): Grid => ({
    scale,
    step: Math.fround(scale),
    ...rest,
  });
  switch (kind) {
    case 'symmetric': {
      const most = 2 ** (bits - 1) - 1;
      return grid(largest === 0 ? 1 : largest / most, { zero: 0, low: -most, high: most });
    }
    case 'centred':
      return grid(largest === 0 ? 1 : (2 * largest) / top, { zero: 2 ** (bits - 1), low: 0, high: top });
    case 'asymmetric': {
      const scale = largest === 0 ? 1 : (high - low) / top;
      return grid(scale, { zero: roundHalfEven(-low / scale), low: 0, high: top });
    }
    default:
      return kind satisfies never;
  }
}

/** The code nearest to a weight. */
export const codeOf = (w: number, { scale, zero, low, high }: Grid): number =>
  Math.min(high, Math.max(low, roundHalfEven(w / scale) + zero));

/** Every weight to its nearest code. `group` null: one grid for each row. */
export function roundToNearest(
  w: Float32Array,
  inputs: number,
  { kind, bits, group }: { kind: GridKind; bits: number; group: number | null },
): Rounded {
  const size = group ?? inputs;
  const groups = Math.ceil(inputs / size);
  const rows = w.length / inputs;
  const out: Rounded = {
    values: new Float32Array(w.length),
    codes: new Int16Array(w.length),
    scales: new Float32Array(rows * groups),
    zeros: new Float32Array(rows * groups),
    groups,
    groupOf: Int32Array.from({ length: inputs }, (_, i) => Math.floor(i / size)),
  };
  for (let row = 0; row < rows; row++) {
    for (let which = 0; which < groups; which++) {
      const from = row * inputs + which * size;
      const count = Math.min(size, inputs - which * size);
      const grid = gridOf(kind, bits, w, from, count);
      out.scales[row * groups + which] = grid.step;
      out.zeros[row * groups + which] = grid.zero;
      for (let i = from; i < from + count; i++) {
        const code = codeOf(w[i]!, grid);
        out.codes[i] = code;
        out.values[i] = grid.step * (code - grid.zero);
      }
    }
  }
  return out;
}
