/** Arrow IPC as a table, its buffers as they are or compressed by LZ4 or Zstandard; flechette reads the format. */
import { CompressionType, setCompressionCodec, tableFromIPC } from '@uwdata/flechette';
import { decompress as decodeZstandard } from 'fzstd';
import { decodeLz4 } from './lz4.ts';

/** Compressed buffers that would unpack to more than is allowed. */
export class UnpackedTooLarge extends RangeError {}

/** Bytes that what is being read may still unpack to. Reading is synchronous: one input at a time. */
let unpackable = 0;

/** A codec for the reader, which knows the format of files but no compression. */
function register(
  type: (typeof CompressionType)[keyof typeof CompressionType],
  decode: (data: Uint8Array, size: number) => Uint8Array,
): void {
  setCompressionCodec(type, {
    encode: () => {
      throw new RangeError('compressed tables are read, not written');
    },
    decode(data, size) {
      unpackable -= size;
      if (!(unpackable >= 0)) {
        throw new UnpackedTooLarge('compressed buffers unpack to more than is allowed');
      }
      return decode(data, size);
    },
  });
}
register(CompressionType.LZ4_FRAME, decodeLz4);
register(CompressionType.ZSTD, (data, size) => decodeZstandard(data, new Uint8Array(size)));

/**
 * A stream or file, or the messages of a stream one by one.
 * @param unpacked bytes that its compressed buffers may come to
 * @throws UnpackedTooLarge, and errors in the reader's own words for what is damaged
 */
export function arrowTable(
  bytes: Uint8Array | Uint8Array[],
  unpacked: number,
  options: Parameters<typeof tableFromIPC>[1] = {},
): ReturnType<typeof tableFromIPC> {
  unpackable = unpacked;
  return tableFromIPC(bytes, options);
}
