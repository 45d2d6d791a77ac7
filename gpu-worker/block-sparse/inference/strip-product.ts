/** The product with a block-sparse matrix by the kernel of strips: on one thread, for any tile. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { assemble } from '../../wasm/assembler.ts';
import { Instance, Memory, Module, validate } from '../../wasm/webassembly.ts';
import type { BlockCsr } from '../tiles/block-csr.ts';
import { stripKernel } from './strip-kernel.ts';
import { STRIP, stripsOf } from './strips.ts';

const [PAGE, MAXIMUM_PAGES] = [65_536, 32_767];
/** Rows whose sums for one strip fill the registers, and rows that are worked through at a time so that they stay in cache. */
const [HEIGHT, BLOCK] = [6, 48];

const modules = new Map<number, Uint8Array>();
/** The module for tiles of height `m`; without relaxed SIMD in this runtime, products and sums are rounded apart. */
function moduleFor(m: number): Uint8Array {
  const known = modules.get(m);
  if (known) {
    return known;
  }
  const made = (fused: boolean) =>
    assemble(
      [stripKernel('many', { m, height: HEIGHT, fused }), stripKernel('one', { m, height: 1, fused })],
      MAXIMUM_PAGES,
    );
  const bytes = validate(made(true)) ? made(true) : made(false);
  modules.set(m, bytes);
  return bytes;
}

export class StripProduct {
  readonly #inputs: number;
  readonly #outputs: number;
  /** Outputs with those that fill the last strip. */
  readonly #width: number;
  readonly #x: Float32Array;
  readonly #y: Float32Array;
  /** Bytes: first entry and first value of every strip, and of what follows the last. */
  readonly #strips: readonly { entry: number; values: number }[];
  readonly #many: (...values: number[]) => void;
  readonly #one: (...values: number[]) => void;

  /** @throws SextantError `memory_exceeded` for a matrix whose live tiles take more than 2 GiB */
  constructor(matrix: BlockCsr) {
    const { p, q, m, n } = matrix.grid;
    const { starts, tileRows, values } = stripsOf(matrix);
    this.#inputs = p * m;
    this.#outputs = q * n;
    this.#width = (starts.length - 1) * STRIP;
    // Address 0 is left alone, and vectors begin at multiples of 16.
    const [x, y] = [16, 16 + 4 * BLOCK * this.#inputs];
    const valuesAt = Math.ceil((y + 4 * BLOCK * this.#width) / 16) * 16;
    const entriesAt = valuesAt + values.byteLength;
    const pages = Math.ceil((entriesAt + tileRows.byteLength) / PAGE);
    if (pages > MAXIMUM_PAGES) {
      const detail = `${tileRows.length} live tiles take ${(values.byteLength / 2 ** 30).toFixed(1)} GiB; the kernel can address 2`;
      throw new SextantError('memory_exceeded', detail);
    }
    const memory = new Memory({ initial: pages, maximum: MAXIMUM_PAGES, shared: true });
    const { exports } = new Instance(new Module(moduleFor(m)), { env: { memory } });
    this.#many = exports.many!;
    this.#one = exports.one!;
    this.#x = new Float32Array(memory.buffer, x, BLOCK * this.#inputs);
    this.#y = new Float32Array(memory.buffer, y, BLOCK * this.#width);
    new Float32Array(memory.buffer, valuesAt, values.length).set(values);
    new Int32Array(memory.buffer, entriesAt, tileRows.length).set(tileRows.map((a) => 4 * a * m));
    this.#strips = Array.from(starts, (at) => ({ entry: entriesAt + 4 * at, values: valuesAt + 4 * at * m * STRIP }));
  }

  /** x W, [rows, outputs], for x [rows, inputs]. */
  multiply(x: Float32Array): Float32Array {
    const rows = x.length / this.#inputs;
    const y = new Float32Array(rows * this.#outputs);
    for (let from = 0; from < rows; from += BLOCK) {
      const height = Math.min(BLOCK, rows - from);
      this.#x.set(x.subarray(from * this.#inputs, (from + height) * this.#inputs));
      this.#multiplyBlock(height);
      const whole = this.#width === this.#outputs;
      const [pieces, size] = whole ? [1, height * this.#width] : [height, this.#outputs];
      for (let piece = 0; piece < pieces; piece++) {
        const found = this.#y.subarray(piece * this.#width, piece * this.#width + size);
        y.set(found, from * this.#outputs + piece * size);
      }
    }
    return y;
  }

  #multiplyBlock(rows: number): void {
    const [inputBytes, outputBytes] = [4 * this.#inputs, 4 * this.#width];
    const rest = rows % HEIGHT;
    for (let strip = 0; strip + 1 < this.#strips.length; strip++) {
      const { entry, values } = this.#strips[strip]!;
      const last = this.#strips[strip + 1]!.entry;
      const y = this.#y.byteOffset + 4 * STRIP * strip;
      this.#many(this.#x.byteOffset, inputBytes, y, outputBytes, rows, entry, last, values);
      const done = rows - rest;
      const [restX, restY] = [this.#x.byteOffset + done * inputBytes, y + done * outputBytes];
      this.#one(restX, inputBytes, restY, outputBytes, rest, entry, last, values);
    }
  }
}
