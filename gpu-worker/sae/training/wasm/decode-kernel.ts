/**
 * Forward and backward through the decoder, row by row: the error of the reconstruction and, while the decoder rows are
 * still in cache, the gradient by the codes. Codes lie in compressed rows: entries `starts[r] .. starts[r+1]` of
 * `latents` and `values` belong to row r.
 */
import { type Body, f32, f32x4, i32, kernel, type Local, v128 } from '../../../wasm/assembler.ts';

/** Sum of the four lanes. */
export const sumLanes = (value: Local) =>
  f32.add(
    f32.add(f32x4.lane(value.get, 0), f32x4.lane(value.get, 1)),
    f32.add(f32x4.lane(value.get, 2), f32x4.lane(value.get, 3)),
  );
export const wordAt = (base: Local, index: Local) => i32.add(base.get, i32.shl(index.get, i32.const(2)));
const ONE = i32.const(1);
const BYTES = i32.const(16);

type Decode = Record<
  'latents' | 'values' | 'decoder' | 'gradients' | 'rowBytes' | 'scale' | 'entry' | 'last' | 'error',
  Local
>;

/** Calls `body` with groups of `size` entries from `p.entry` on, as far as whole groups reach. */
function groups(f: Body, p: Decode, size: number, body: (rows: Local[]) => void): void {
  const rows = Array.from({ length: size }, () => f.local('i32'));
  f.while(i32.ge(p.last.get, i32.add(p.entry.get, i32.const(size))), () => {
    rows.forEach((row, j) => {
      const latent = i32.load(wordAt(p.latents, p.entry), 4 * j);
      f.do(row.set(i32.add(p.decoder.get, i32.mul(latent, p.rowBytes.get))));
    });
    body(rows);
    f.do(p.entry.set(i32.add(p.entry.get, i32.const(size))));
  });
}

function subtractRows(f: Body, p: Decode, size: number): void {
  const codes = Array.from({ length: size }, () => f.local('v128'));
  groups(f, p, size, (rows) => {
    codes.forEach((code, j) => {
      f.do(code.set(f32x4.splat(f32.load(wordAt(p.values, p.entry), 4 * j))));
    });
    f.for(i32.const(0), p.rowBytes.get, BYTES, (at) => {
      const address = i32.add(p.error.get, at.get);
      const products = rows.map((row, j) => f32x4.mul(codes[j]!.get, v128.load(i32.add(row.get, at.get))));
      const sum = products.reduce((left, right) => f32x4.add(left, right));
      f.do(v128.store(address, f32x4.sub(v128.load(address), sum)));
    });
  });
}

function codeGradients(f: Body, p: Decode, size: number): void {
  const sums = Array.from({ length: size }, () => f.local('v128'));
  const error = f.local('v128');
  groups(f, p, size, (rows) => {
    for (const sum of sums) {
      f.do(sum.set(f32x4.splat(f32.const(0))));
    }
    f.for(i32.const(0), p.rowBytes.get, BYTES, (at) => {
      f.do(error.set(v128.load(i32.add(p.error.get, at.get))));
      rows.forEach((row, j) => {
        const product = f32x4.mul(error.get, v128.load(i32.add(row.get, at.get)));
        f.do(sums[j]!.set(f32x4.add(sums[j]!.get, product)));
      });
    });
    sums.forEach((sum, j) => {
      const target = wordAt(p.gradients, p.entry);
      f.if(
        f32.eq(f32.load(wordAt(p.values, p.entry), 4 * j), f32.const(0)),
        () => f.do(f32.store(target, f32.const(0), 4 * j)),
        () => f.do(f32.store(target, f32.mul(p.scale.get, sumLanes(sum)), 4 * j)),
      );
    });
  });
}

/**
 * For rows `begin .. end`: error = source - sum_j z_j D_j, losses[row] = |error|^2, and for every entry with a code
 * other than 0 gradients[e] = scale <error, D_j>, else 0. Rows are `rowBytes` long, a multiple of 16.
 */
export const decode = kernel(
  'decode',
  {
    begin: 'i32',
    end: 'i32',
    rowBytes: 'i32',
    starts: 'i32',
    latents: 'i32',
    values: 'i32',
    decoder: 'i32',
    source: 'i32',
    errors: 'i32',
    losses: 'i32',
    gradients: 'i32',
    scale: 'f32',
  },
  (f, p) => {
    const shared = { ...p, entry: f.local('i32'), last: f.local('i32'), error: f.local('i32') };
    const { entry, last, error } = shared;
    const from = f.local('i32');
    const loss = f.local('v128');
    const value = f.local('v128');
    f.for(p.begin.get, p.end.get, ONE, (row) => {
      f.do(error.set(i32.add(p.errors.get, i32.mul(row.get, p.rowBytes.get))));
      f.do(from.set(i32.add(p.source.get, i32.mul(row.get, p.rowBytes.get))));
      f.for(i32.const(0), p.rowBytes.get, BYTES, (at) => {
        f.do(v128.store(i32.add(error.get, at.get), v128.load(i32.add(from.get, at.get))));
      });
      f.do(entry.set(i32.load(wordAt(p.starts, row))));
      f.do(last.set(i32.load(wordAt(p.starts, row), 4)));
      subtractRows(f, shared, 4);
      subtractRows(f, shared, 1);
      f.do(loss.set(f32x4.splat(f32.const(0))));
      f.for(i32.const(0), p.rowBytes.get, BYTES, (at) => {
        f.do(value.set(v128.load(i32.add(error.get, at.get))));
        f.do(loss.set(f32x4.add(loss.get, f32x4.mul(value.get, value.get))));
      });
      f.do(f32.store(wordAt(p.losses, row), sumLanes(loss)));
      f.do(entry.set(i32.load(wordAt(p.starts, row))));
      codeGradients(f, shared, 4);
      codeGradients(f, shared, 1);
    });
  },
);

/**
 * Counting sort of the entries by latent, in row order within each, leaving out codes that are 0. `offsets` (latents + 1)
 * receives where each latent's entries begin; `rowOf`, `codeOf`, `gradientOf` the sorted entries. `fired` (latents)
 * counts the entries of rows before `auxiliary`. Runs on one thread.
 */
export const groupByLatent = kernel(
  'group_by_latent',
  {
    rows: 'i32',
    auxiliary: 'i32',
    latents: 'i32',
    starts: 'i32',
    index: 'i32',
    values: 'i32',
    gradients: 'i32',
    offsets: 'i32',
    cursor: 'i32',
    fired: 'i32',
    rowOf: 'i32',
    codeOf: 'i32',
    gradientOf: 'i32',
  },
  (f, p) => {
    const zero = i32.const(0);
    const place = f.local('i32');
    const target = f.local('i32');
    const increment = (address: Local) => f.do(i32.store(address.get, i32.add(i32.load(address.get), ONE)));
    f.for(zero, p.latents.get, ONE, (i) => {
      f.do(i32.store(wordAt(p.cursor, i), zero), i32.store(wordAt(p.fired, i), zero));
    });
    const entries = (visit: (row: Local, entry: Local) => void) =>
      f.for(zero, p.rows.get, ONE, (row) => {
        f.for(i32.load(wordAt(p.starts, row)), i32.load(wordAt(p.starts, row), 4), ONE, (entry) => {
          f.if(
            f32.eq(f32.load(wordAt(p.values, entry)), f32.const(0)),
            () => {},
            () => visit(row, entry),
          );
        });
      });
    entries((row, entry) => {
      const latent = f.let('i32', i32.load(wordAt(p.index, entry)));
      f.do(place.set(wordAt(p.cursor, latent)));
      increment(place);
      f.if(i32.lt(row.get, p.auxiliary.get), () => {
        f.do(place.set(wordAt(p.fired, latent)));
        increment(place);
      });
    });
    const total = f.let('i32', zero);
    f.for(zero, p.latents.get, ONE, (i) => {
      f.do(place.set(i32.load(wordAt(p.cursor, i))));
      f.do(i32.store(wordAt(p.offsets, i), total.get), i32.store(wordAt(p.cursor, i), total.get));
      f.do(total.set(i32.add(total.get, place.get)));
    });
    f.do(i32.store(wordAt(p.offsets, p.latents), total.get));
    entries((row, entry) => {
      const latent = f.let('i32', i32.load(wordAt(p.index, entry)));
      f.do(place.set(wordAt(p.cursor, latent)));
      f.do(target.set(i32.load(place.get)));
      increment(place);
      f.do(i32.store(wordAt(p.rowOf, target), row.get));
      f.do(f32.store(wordAt(p.codeOf, target), f32.load(wordAt(p.values, entry))));
      f.do(f32.store(wordAt(p.gradientOf, target), f32.load(wordAt(p.gradients, entry))));
    });
  },
);
