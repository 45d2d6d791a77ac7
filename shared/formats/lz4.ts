/** LZ4 frames (format description 1.6) into bytes, as Arrow compresses buffers by; the encoder is nobody's business here. */

const MAGIC = 0x184d2204;
const [HAS_BLOCK_SUMS, HAS_SIZE, HAS_SUM, HAS_DICTIONARY] = [0x10, 0x08, 0x04, 0x01];

const damaged = (what: string): RangeError => new RangeError(`the LZ4 frame ${what}`);

/** Decodes one block into `out` from `at` on, where earlier blocks lie before it; answers where it ends. */
function decodeBlock(block: Uint8Array, out: Uint8Array, start: number): number {
  let [from, at] = [0, start];
  /** A length whose first four bits are `nibble`; bytes of 255 go on. */
  const length = (nibble: number): number => {
    let size = nibble;
    for (let more = nibble === 15; more; ) {
      const byte = block[from++];
      if (byte === undefined) {
        throw damaged('ends within a length');
      }
      size += byte;
      more = byte === 255;
    }
    return size;
  };
  while (from < block.length) {
    const token = block[from++]!;
    const literals = length(token >>> 4);
    if (from + literals > block.length || at + literals > out.length) {
      throw damaged('holds more bytes than it says');
    }
    out.set(block.subarray(from, from + literals), at);
    from += literals;
    at += literals;
    // The last sequence of a block is literals alone.
    if (from === block.length) {
      return at;
    }
    const offset = block[from]! | ((block[from + 1] ?? 0) << 8);
    from += 2;
    const size = length(token & 15) + 4;
    if (offset === 0 || offset > at || at + size > out.length) {
      throw damaged('repeats bytes that are not there');
    }
    // A match may reach into what it writes itself: byte by byte, in order.
    for (let i = 0; i < size; i++) {
      out[at + i] = out[at + i - offset]!;
    }
    at += size;
  }
  return at;
}

/** The `size` bytes that a frame holds. Checksums are not verified. Raises RangeError for one that is damaged. */
export function decodeLz4(frame: Uint8Array, size: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const out = new Uint8Array(size);
  if (frame.length < 7 || view.getUint32(0, true) !== MAGIC) {
    throw damaged('does not begin as one');
  }
  const flags = frame[4]!;
  let from = 6 + (flags & HAS_SIZE ? 8 : 0) + (flags & HAS_DICTIONARY ? 4 : 0) + 1;
  let at = 0;
  for (;;) {
    const header = view.getUint32(from, true);
    from += 4;
    if (header === 0) {
      break;
    }
    const length = header & 0x7fffffff;
    const block = frame.subarray(from, from + length);
    if (block.length < length || (header >>> 31 && at + length > size)) {
      throw damaged('is cut short');
    }
    if (header >>> 31) {
      out.set(block, at);
      at += length;
    } else {
      at = decodeBlock(block, out, at);
    }
    from += length + (flags & HAS_BLOCK_SUMS ? 4 : 0);
  }
  if (at !== size || from + (flags & HAS_SUM ? 4 : 0) > frame.length) {
    throw damaged(`holds ${at} bytes, ${size} were announced`);
  }
  return out;
}
