/**
 * Shapes: lists of sizes, each a positive integer or a symbol (a string such as 'batch') that is known only when the
 * program runs. Two symbols are equal if their names are. Symbols that arise from arithmetic are spelled out: 'past+seq'.
 */
import { GraphError } from './errors.ts';

export type Dim = number | string;
export type Shape = readonly Dim[];

/** Largest element count that is accepted: sizes and byte offsets stay exact integers well below 2^53. */
const MAX_ELEMENTS = 2 ** 40;

export const showShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Refuses sizes that are not positive integers and products that would overflow. */
export function checkShape(shape: Shape): void {
  let elements = 1;
  for (const dim of shape) {
    if (typeof dim === 'string') {
      if (dim === '') {
        throw new GraphError('dimension_invalid', `a symbolic size needs a name in ${showShape(shape)}`);
      }
      continue;
    }
    if (!Number.isSafeInteger(dim) || dim < 1) {
      throw new GraphError('dimension_invalid', `sizes are positive integers, got ${dim} in ${showShape(shape)}`);
    }
    elements *= dim;
    if (elements > MAX_ELEMENTS) {
      throw new GraphError('size_overflow', `${showShape(shape)} has more than 2^40 elements`);
    }
  }
}

/** The shape as numbers; throws `shape_unknown` where a symbol remains. */
export function staticShape<const S extends Shape>(shape: S, purpose: string): { readonly [I in keyof S]: number } {
  if (isStatic(shape)) {
    return shape;
  }
  throw new GraphError('shape_unknown', `${purpose} needs static sizes, got ${showShape(shape)}`);
}

export const isStatic = <S extends Shape>(shape: S): shape is S & { readonly [I in keyof S]: number } =>
  shape.every((dim) => typeof dim === 'number');

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i]);

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/** Broadcast shape by the NumPy rule; a symbol broadcasts with 1 and with itself only. */
export function broadcastShapes(a: Shape, b: Shape): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x === y || y === 1) {
      return x;
    }
    if (x === 1) {
      return y;
    }
    throw new GraphError('shape_mismatch', `sizes ${x} and ${y} do not broadcast (axis ${i - rank})`);
  });
}

/** A possibly negative axis as 0 .. rank-1. */
export function axisOf(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new GraphError('argument_invalid', `axis ${axis} is outside a tensor of rank ${rank}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Row-major strides. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

/** Sum of sizes along one axis; symbolic where a part is. */
export const addDims = (dims: readonly Dim[]): Dim =>
  dims.every((dim) => typeof dim === 'number')
    ? dims.reduce((sum: number, dim) => sum + (dim as number), 0)
    : dims.join('+');
