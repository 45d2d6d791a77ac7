/** Directions that tell states before a reflection from others: three estimators, and what is to be known of the states. */
import { symmetricEigen } from '../../../shared/math/decompositions.ts';
import { fromRows } from '../../../shared/math/matrix.ts';
import { convergedLogistic } from '../../study/index.ts';
import { difference, dot, meanRow } from '../vectors.ts';

/** States [n, width] just before a reflection, and at the same surface token elsewhere. */
export type States = { reflecting: Float64Array; other: Float64Array; width: number };

export const differenceOfMeans = ({ reflecting, other, width }: States): Float64Array =>
  difference(meanRow(reflecting, width), meanRow(other, width));

/** Rows minus their mean. */
export function centred(x: Float64Array, width: number): Float64Array {
  const mean = meanRow(x, width);
  return x.map((value, i) => value - mean[i % width]!);
}

/** Row i of one minus row i of the other, of as many rows as both have. */
export function pairedDifferences({ reflecting, other }: States): Float64Array {
  return reflecting.slice(0, other.length).map((value, i) => value - other[i]!);
}

type Spectrum = { values: Float64Array; first: Float64Array };

/** Singular values of x [n, width], falling, and the first right singular vector (unit), from the smaller Gram matrix. */
function spectrum(x: Float64Array, width: number): Spectrum {
  const rows = x.length / width;
  const row = (i: number) => x.subarray(i * width, (i + 1) * width);
  const column = (j: number) => Float64Array.from({ length: rows }, (_, i) => x[i * width + j]!);
  const byRows = rows <= width;
  const vectors = Array.from({ length: byRows ? rows : width }, (_, i) => (byRows ? row(i) : column(i)));
  const gram = vectors.map((a, i) => Float64Array.from(vectors, (b, j) => (j <= i ? dot(a, b) : 0)));
  for (let i = 0; i < gram.length; i++) {
    for (let j = i + 1; j < gram.length; j++) {
      gram[i]![j] = gram[j]![i]!;
    }
  }
  const { values, vectors: eigen } = symmetricEigen(fromRows(gram));
  const singular = values.map((value) => Math.sqrt(Math.max(0, value)));
  const lead = Float64Array.from({ length: gram.length }, (_, i) => eigen.data[i * eigen.cols]!);
  if (!byRows) {
    return { values: singular, first: lead };
  }
  const first = new Float64Array(width);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < width; j++) {
      first[j]! += (lead[i]! * x[i * width + j]!) / singular[0]!;
    }
  }
  return { values: singular, first };
}

/** (sum s)^2 / sum s^2 of the singular values: 1 for one direction, all of them for a ball. */
export function effectiveRank(x: Float64Array, width: number): number {
  const { values } = spectrum(x, width);
  const sum = values.reduce((total, value) => total + value, 0);
  return sum ** 2 / dot(values, values);
}

/** How the first component is taken: of the paired differences as they are or centred, or of both sets together, centred. */
export const COMPONENTS = ['differences', 'differences_centred', 'pooled'] as const;

/** First principal component, of unit norm, with the sign of the difference in means. */
export function firstComponent(states: States, kind: (typeof COMPONENTS)[number]): Float64Array {
  const { width } = states;
  const rows =
    kind === 'pooled'
      ? centred(Float64Array.from([...states.reflecting, ...states.other]), width)
      : kind === 'differences'
        ? pairedDifferences(states)
        : centred(pairedDifferences(states), width);
  const { first } = spectrum(rows, width);
  const sign = dot(first, differenceOfMeans(states)) < 0 ? -1 : 1;
  return first.map((value) => sign * value);
}

type Probe = { weight: Float64Array; bias: number };

/** Minimum of mean log loss + l2/2 |w|^2 with label 1 for reflecting; the intercept is free, features are as they are. */
export function logisticProbe({ reflecting, other, width }: States, l2: number): Probe {
  const x = Float64Array.from([...reflecting, ...other]);
  const labels = Float64Array.from({ length: x.length / width }, (_, i) => Number(i < reflecting.length / width));
  const beta = convergedLogistic({ x, y: labels, d: width }, { l2 });
  return { weight: beta.slice(0, width), bias: beta[width]! };
}

export const projections = (x: Float64Array, width: number, direction: ArrayLike<number>): Float64Array =>
  Float64Array.from({ length: x.length / width }, (_, i) => dot(x.subarray(i * width, (i + 1) * width), direction));
