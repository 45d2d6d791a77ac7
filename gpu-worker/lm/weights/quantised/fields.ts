/** Narrow unsigned numbers packed into 32-bit words, lowest bits first. */

/**
 * How fields lie in the words of one line: as one dense bit string, whose fields may straddle two words, or so many
 * whole fields to a word with the rest of its bits unused. For widths that divide 32 the two are the same.
 */
export type Packing = 'string' | 'whole';

/** Words that `count` fields take. */
const wordsOf = (count: number, bits: number, packing: Packing): number =>
  packing === 'string' ? Math.ceil((count * bits) / 32) : Math.ceil(count / Math.floor(32 / bits));

/** How fields of a line that takes `words` words are packed; null where neither way fits. */
export const packingOf = (count: number, bits: number, words: number): Packing | null =>
  words === wordsOf(count, bits, 'string') ? 'string' : words === wordsOf(count, bits, 'whole') ? 'whole' : null;

type Line = { count: number; bits: number; packing: Packing };

/** Fields along the rows' own axis: words [rows, width] -> fields [rows, count]. */
export function fieldsInRows(words: Int32Array, rows: number, { count, bits, packing }: Line): Uint8Array {
  const width = words.length / rows;
  const out = new Uint8Array(rows * count);
  const at = places(count, bits, packing);
  const mask = 2 ** bits - 1;
  for (let row = 0, i = 0; row < rows; row++) {
    for (let k = 0; k < count; k++, i++) {
      const from = row * width + at.word[k]!;
      const shift = at.shift[k]!;
      let value = words[from]! >>> shift;
      if (shift + bits > 32) {
        value |= words[from + 1]! << (32 - shift);
      }
      out[i] = value & mask;
    }
  }
  return out;
}

/** Fields along the columns: words [height, columns] -> fields [count, columns]. */
export function fieldsInColumns(words: Int32Array, columns: number, { count, bits, packing }: Line): Uint8Array {
  const out = new Uint8Array(count * columns);
  const at = places(count, bits, packing);
  const mask = 2 ** bits - 1;
  for (let k = 0, i = 0; k < count; k++) {
    const from = at.word[k]! * columns;
    const shift = at.shift[k]!;
    const straddles = shift + bits > 32;
    for (let column = 0; column < columns; column++, i++) {
      let value = words[from + column]! >>> shift;
      if (straddles) {
        value |= words[from + columns + column]! << (32 - shift);
      }
      out[i] = value & mask;
    }
  }
  return out;
}

function places(count: number, bits: number, packing: Packing): { word: Int32Array; shift: Uint8Array } {
  const word = new Int32Array(count);
  const shift = new Uint8Array(count);
  const perWord = Math.floor(32 / bits);
  for (let k = 0; k < count; k++) {
    word[k] = packing === 'string' ? Math.floor((k * bits) / 32) : Math.floor(k / perWord);
    shift[k] = packing === 'string' ? (k * bits) % 32 : (k % perWord) * bits;
  }
  return { word, shift };
}

/** The transpose of [rows, columns]. */
export function transposed<T extends Uint8Array | Float32Array>(values: T, rows: number, columns: number): T {
  const out = new (values.constructor as new (length: number) => T)(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column]!;
    }
  }
  return out;
}
