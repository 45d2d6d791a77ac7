import { describe, expect, it } from 'vitest';
import { decodeLz4 } from '../../../shared/formats/lz4.ts';

/** A frame of blocks (compressed unless `plain`), with flags of version 1 and independent blocks. */
function frame(blocks: { bytes: number[]; plain?: boolean }[], flags = 0x60): Uint8Array {
  const out = [0x04, 0x22, 0x4d, 0x18, flags, 0x40, 0];
  for (const { bytes, plain } of blocks) {
    const n = bytes.length;
    out.push(n & 255, (n >> 8) & 255, (n >> 16) & 255, plain ? 0x80 : 0, ...bytes);
  }
  return Uint8Array.from([...out, 0, 0, 0, 0]);
}
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const codes = (letters: string): number[] => [...new TextEncoder().encode(letters)];

describe('LZ4 frames', () => {
  it('hold literals, matches that reach into themselves, long lengths and blocks that look back', () => {
    // Three literals, a match of 4 + 5 at distance 3, then the last literals.
    const first = { bytes: [0x35, ...codes('abc'), 3, 0, 0x10, ...codes('!')] };
    expect(text(decodeLz4(frame([first]), 13))).toBe('abcabcabcabc!');
    expect(text(decodeLz4(frame([{ bytes: codes('as it is'), plain: true }]), 8))).toBe('as it is');
    const long = { bytes: [0x1f, ...codes('x'), 1, 0, 255, 10, 0x10, ...codes('y')] };
    expect(text(decodeLz4(frame([long]), 1 + 15 + 265 + 4 + 1))).toBe(`${'x'.repeat(285)}y`);
    const back = { bytes: [0x00, 13, 0, 0x10, ...codes('?')] };
    expect(text(decodeLz4(frame([first, back]), 18))).toBe('abcabcabcabc!abca?');
  });

  it.each([
    ['does not begin', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 3],
    ['repeats bytes that are not there', frame([{ bytes: [0x10, 97, 9, 0, 0x10, 98] }]), 6],
    ['holds more bytes', frame([{ bytes: [0x50, 97] }]), 5],
    ['ends within a length', frame([{ bytes: [0xf0] }]), 5],
    ['3 bytes, 4 were announced', frame([{ bytes: codes('abc'), plain: true }]), 4],
    ['is cut short', frame([{ bytes: codes('abc'), plain: true }]), 2],
  ])('that are damaged are refused: %s', (message, bytes, size) => {
    expect(() => decodeLz4(bytes, size)).toThrow(message);
  });
});
