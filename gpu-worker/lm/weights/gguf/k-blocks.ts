/**
 * ggml's K types: super-blocks of 256 values, cut into 8 or 16 blocks whose own scales (and lowest values) are whole
 * numbers of 4 or 6 bits times one float16 of the super-block.
 */
import { float16Value } from '../../../../shared/formats/safetensors-values.ts';

const half = (bytes: DataView, at: number): number => float16Value(bytes.getUint16(at, true));

/** 16 bytes of scales and lowest values, 64 of codes, then the two factors. */
export function twoBitK(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const [factor, least] = [half(bytes, at + 80), half(bytes, at + 82)];
  for (let i = 0; i < 256; i++) {
    const block = bytes.getUint8(at + (i >> 4));
    const code = (bytes.getUint8(at + 16 + (i >> 7) * 32 + (i & 31)) >> (((i >> 5) & 3) * 2)) & 3;
    out[to + i] = factor * (block & 15) * code - least * (block >> 4);
  }
}

/** 32 bytes of high bits, 64 of low ones, 12 of scales, then the factor. */
export function threeBitK(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const factor = half(bytes, at + 108);
  const scales = at + 96;
  for (let i = 0; i < 256; i++) {
    const block = i >> 4;
    const byte = bytes.getUint8(scales + (block & 7));
    const low = block < 8 ? byte & 15 : byte >> 4;
    const high = (bytes.getUint8(scales + 8 + (block & 3)) >> (2 * (block >> 2))) & 3;
    const code = (bytes.getUint8(at + 32 + (i >> 7) * 32 + (i & 31)) >> (((i >> 5) & 3) * 2)) & 3;
    const set = (bytes.getUint8(at + (i & 31)) >> (i >> 5)) & 1;
    out[to + i] = factor * ((low | (high << 4)) - 32) * (code - (set ? 0 : 4));
  }
}

/** Scale and lowest value, 6 bits each, of one of eight blocks, from 12 bytes. */
function scaleAndLeast(bytes: DataView, at: number, block: number): [scale: number, least: number] {
  if (block < 4) {
    return [bytes.getUint8(at + block) & 63, bytes.getUint8(at + block + 4) & 63];
  }
  const both = bytes.getUint8(at + block + 4);
  return [
    (both & 15) | ((bytes.getUint8(at + block - 4) >> 6) << 4),
    (both >> 4) | ((bytes.getUint8(at + block) >> 6) << 4),
  ];
}

/** The two factors, 12 bytes of scales and lowest values, 128 of codes. */
export function fourBitK(bytes: DataView, at: number, out: Float32Array, to: number): void {
  withEightBlocks(bytes, at, out, to, at + 16, null);
}

/** As four bits, with 32 bytes of fifth bits before the codes. */
export function fiveBitK(bytes: DataView, at: number, out: Float32Array, to: number): void {
  withEightBlocks(bytes, at, out, to, at + 48, at + 16);
}

function withEightBlocks(
  bytes: DataView,
  at: number,
  out: Float32Array,
  to: number,
  codes: number,
  fifth: number | null,
): void {
  const [factor, leastFactor] = [half(bytes, at), half(bytes, at + 2)];
  for (let block = 0; block < 8; block++) {
    const [scale, least] = scaleAndLeast(bytes, at + 4, block);
    const [step, low] = [factor * scale, leastFactor * least];
    for (let i = 0; i < 32; i++) {
      const byte = bytes.getUint8(codes + (block >> 1) * 32 + i);
      const code = block % 2 === 0 ? byte & 15 : byte >> 4;
      const high = fifth === null ? 0 : ((bytes.getUint8(fifth + i) >> block) & 1) << 4;
      out[to + block * 32 + i] = step * (code + high) - low;
    }
  }
}

/** 128 bytes of low bits, 64 of high ones, 16 signed scales, then the factor. */
export function sixBitK(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const factor = half(bytes, at + 208);
  for (let i = 0; i < 256; i++) {
    const [part, quarter, l] = [i >> 7, (i >> 5) & 3, i & 31];
    const byte = bytes.getUint8(at + part * 64 + (quarter & 1) * 32 + l);
    const low = quarter < 2 ? byte & 15 : byte >> 4;
    const high = (bytes.getUint8(at + 128 + part * 32 + l) >> (quarter * 2)) & 3;
    out[to + i] = factor * bytes.getInt8(at + 192 + (i >> 4)) * ((low | (high << 4)) - 32);
  }
}
