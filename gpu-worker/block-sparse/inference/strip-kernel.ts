/**
 * The kernel of a strip: a few rows of inputs times all live tiles of eight outputs, the sums staying in registers. Nothing is
 * gathered: an entry says where its inputs begin.
 */
import { type Body, type Code, f32, f32x4, i32, kernel, type Local, v128 } from '../../wasm/assembler.ts';
import { STRIP } from './strips.ts';

const LANES = 4;
const VECTORS = STRIP / LANES;
const [FLOAT, VECTOR] = [4, 16];
/** Tile rows that are written out one after another at most. */
const UNROLLED = 8;

const multiplyAdd = (a: Code, b: Code, c: Code): Code => f32x4.add(c, f32x4.mul(a, b));

/** The largest divisor of `m` that is no more than `UNROLLED`. */
const unrolledOf = (m: number): number =>
  [...Array(UNROLLED).keys()].map((i) => UNROLLED - i).find((size) => m % size === 0) ?? 1;

/**
 * Rows `0 .. rows` of y in groups of `height`, as far as whole groups reach: y[row, 0..8] = sum over the entries `entry ..
 * last` of x[row, offset ..] times their m x 8 values. Entries are byte offsets into a row of x.
 * @param fused whether products and sums may be rounded together
 */
export const stripKernel = (name: string, { m, height, fused }: { m: number; height: number; fused: boolean }) =>
  kernel(
    name,
    {
      x: 'i32',
      inputBytes: 'i32',
      y: 'i32',
      outputBytes: 'i32',
      rows: 'i32',
      entry: 'i32',
      last: 'i32',
      values: 'i32',
    },
    (f, p) => {
      const add = fused ? f32x4.relaxedMultiplyAdd : multiplyAdd;
      const locals = (type: 'i32' | 'v128', count: number) => Array.from({ length: count }, () => f.local(type));
      const [sums, weights, input] = [locals('v128', height * VECTORS), locals('v128', VECTORS), f.local('v128')];
      const [lines, places] = [locals('i32', height), locals('i32', height)];
      const [entry, value, end] = [f.local('i32'), f.local('i32'), f.local('i32')];
      const unrolled = unrolledOf(m);
      const step = (k: number): void => {
        weights.forEach((weight, v) => {
          f.do(weight.set(v128.load(value.get, (k * VECTORS + v) * VECTOR)));
        });
        places.forEach((place, row) => {
          f.do(input.set(v128.loadSplat(place.get, k * FLOAT)));
          weights.forEach((weight, v) => {
            const sum = sums[row * VECTORS + v]!;
            f.do(sum.set(add(input.get, weight.get, sum.get)));
          });
        });
      };
      f.do(lines[0]!.set(p.x.get));
      f.while(i32.ge(p.rows.get, i32.const(height)), () => {
        lines.slice(1).forEach((line, row) => {
          f.do(line.set(i32.add(lines[row]!.get, p.inputBytes.get)));
        });
        for (const sum of sums) {
          f.do(sum.set(f32x4.splat(f32.const(0))));
        }
        f.do(entry.set(p.entry.get), value.set(p.values.get));
        f.while(i32.lt(entry.get, p.last.get), () => {
          places.forEach((place, row) => {
            f.do(place.set(i32.add(lines[row]!.get, i32.load(entry.get))));
          });
          f.do(end.set(i32.add(value.get, i32.const(m * STRIP * FLOAT))));
          f.while(i32.lt(value.get, end.get), () => {
            for (let k = 0; k < unrolled; k++) {
              step(k);
            }
            advance(f, [value], unrolled * STRIP * FLOAT);
            advance(f, places, unrolled * FLOAT);
          });
          advance(f, [entry], FLOAT);
        });
        for (let row = 0; row < height; row++) {
          for (let v = 0; v < VECTORS; v++) {
            f.do(v128.store(p.y.get, sums[row * VECTORS + v]!.get, v * VECTOR));
          }
          f.do(p.y.set(i32.add(p.y.get, p.outputBytes.get)));
        }
        f.do(lines[0]!.set(i32.add(lines.at(-1)!.get, p.inputBytes.get)));
        f.do(p.rows.set(i32.sub(p.rows.get, i32.const(height))));
      });
    },
  );

const advance = (f: Body, pointers: readonly Local[], bytes: number): void => {
  for (const pointer of pointers) {
    f.do(pointer.set(i32.add(pointer.get, i32.const(bytes))));
  }
};
