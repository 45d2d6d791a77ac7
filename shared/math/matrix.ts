/** Dense real matrices in float64, row-major, and the products the fairness methods are made of. */

/** `data[row * cols + column]`. */
export type Matrix = { readonly rows: number; readonly cols: number; readonly data: Float64Array };

/** A matrix of zeros. */
export const zeros = (rows: number, cols: number): Matrix => ({ rows, cols, data: new Float64Array(rows * cols) });

/** Wraps values given row by row. Raises RangeError when their number is not `rows * cols`. */
export function matrix(rows: number, cols: number, values: ArrayLike<number>): Matrix {
  if (values.length !== rows * cols) {
    throw new RangeError(`${rows} x ${cols} needs ${rows * cols}, got ${values.length}`);
  }
  return { rows, cols, data: Float64Array.from(values) };
}

/** Builds from rows of equal length. Raises RangeError when the lengths differ. */
export function fromRows(rows: readonly ArrayLike<number>[]): Matrix {
  const cols = rows[0]?.length ?? 0;
  const out = zeros(rows.length, cols);
  rows.forEach((row, i) => {
    if (row.length !== cols) {
      throw new RangeError(`row ${i} has ${row.length} values, the first has ${cols}`);
    }
    for (let j = 0; j < cols; j++) {
      out.data[i * cols + j] = row[j]!;
    }
  });
  return out;
}

export const toRows = (a: Matrix): number[][] =>
  Array.from({ length: a.rows }, (_, i) => Array.from(a.data.subarray(i * a.cols, (i + 1) * a.cols)));

export function identity(n: number): Matrix {
  const out = zeros(n, n);
  for (let i = 0; i < n; i++) {
    out.data[i * n + i] = 1;
  }
  return out;
}

const requireShape = (ok: boolean, what: string, a: Matrix, b: { rows: number; cols: number }): void => {
  if (!ok) {
    throw new RangeError(`${what}: ${a.rows} x ${a.cols} does not fit ${b.rows} x ${b.cols}`);
  }
};

/** A B, (n x k) (k x m). */
export function multiply(a: Matrix, b: Matrix): Matrix {
  requireShape(a.cols === b.rows, 'multiply', a, b);
  const out = zeros(a.rows, b.cols);
  const { data: left, cols: inner } = a;
  const { data: right, cols: width } = b;
  for (let i = 0; i < a.rows; i++) {
    const base = i * width;
    for (let k = 0; k < inner; k++) {
      const factor = left[i * inner + k]!;
      if (factor === 0) {
        continue;
      }
      const from = k * width;
      for (let j = 0; j < width; j++) {
        out.data[base + j]! += factor * right[from + j]!;
      }
    }
  }
  return out;
}

/** A B^T, (n x k) (m x k)^T: both operands are read along their rows. */
export function multiplyTransposed(a: Matrix, b: Matrix): Matrix {
  requireShape(a.cols === b.cols, 'multiplyTransposed', a, b);
  const out = zeros(a.rows, b.rows);
  const inner = a.cols;
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.rows; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) {
        sum += a.data[i * inner + k]! * b.data[j * inner + k]!;
      }
      out.data[i * b.rows + j] = sum;
    }
  }
  return out;
}

/** A x for a vector x of length `a.cols`. */
export function apply(a: Matrix, x: ArrayLike<number>): Float64Array {
  requireShape(a.cols === x.length, 'apply', a, { rows: x.length, cols: 1 });
  const out = new Float64Array(a.rows);
  for (let i = 0; i < a.rows; i++) {
    let sum = 0;
    for (let j = 0; j < a.cols; j++) {
      sum += a.data[i * a.cols + j]! * x[j]!;
    }
    out[i] = sum;
  }
  return out;
}

/** W S W^T for a symmetric S: the form in which a layer carries a moment of its inputs to its outputs. */
export const congruence = (w: Matrix, s: Matrix): Matrix => symmetrise(multiplyTransposed(multiply(w, s), w));

/** (A + A^T) / 2, which removes the rounding that would break an eigensolver's symmetry. */
export function symmetrise(a: Matrix): Matrix {
  requireShape(a.rows === a.cols, 'symmetrise', a, a);
  const out = zeros(a.rows, a.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) {
      out.data[i * a.cols + j] = (a.data[i * a.cols + j]! + a.data[j * a.cols + i]!) / 2;
    }
  }
  return out;
}

/** A + factor B. */
export function add(a: Matrix, b: Matrix, factor = 1): Matrix {
  requireShape(a.rows === b.rows && a.cols === b.cols, 'add', a, b);
  const out = zeros(a.rows, a.cols);
  for (let i = 0; i < out.data.length; i++) {
    out.data[i] = a.data[i]! + factor * b.data[i]!;
  }
  return out;
}

/** factor x y^T. */
export function outer(x: ArrayLike<number>, y: ArrayLike<number>, factor = 1): Matrix {
  const out = zeros(x.length, y.length);
  for (let i = 0; i < x.length; i++) {
    for (let j = 0; j < y.length; j++) {
      out.data[i * y.length + j] = factor * x[i]! * y[j]!;
    }
  }
  return out;
}

export function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    sum += x[i]! * y[i]!;
  }
  return sum;
}

export const norm = (x: ArrayLike<number>): number => Math.sqrt(dot(x, x));
