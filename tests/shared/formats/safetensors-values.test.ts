import { describe, expect, it } from 'vitest';
import {
  bfloat16Bits,
  bfloat16Value,
  float16Bits,
  float16Value,
  toFloat32,
  toFloat64,
} from '../../../shared/formats/safetensors-values.ts';

describe('half precision', () => {
  it('goes from every float16 pattern to a number and back', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = float16Value(bits);
      if (Number.isNaN(value)) {
        continue;
      }
      expect(float16Bits(value)).toBe(bits);
    }
  });

  it('goes from every bfloat16 pattern to a number and back', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = bfloat16Value(bits);
      if (Number.isNaN(value)) {
        continue;
      }
      expect(bfloat16Bits(value)).toBe(bits);
    }
  });

  it('rounds to the nearest, ties to even', () => {
    for (let bits = 0; bits < 0x7bff; bits += 7) {
      const [low, high] = [float16Value(bits), float16Value(bits + 1)];
      const middle = (low + high) / 2;
      expect(float16Bits(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
      expect(float16Bits(low + (high - low) * 0.49)).toBe(bits);
      expect(float16Bits(low + (high - low) * 0.51)).toBe(bits + 1);
    }
    expect(float16Value(float16Bits(65520))).toBe(Number.POSITIVE_INFINITY);
    expect(float16Value(float16Bits(65519))).toBe(65504);
    expect(bfloat16Value(bfloat16Bits(1 + 2 ** -8))).toBe(1);
    expect(bfloat16Value(bfloat16Bits(1 + 3 * 2 ** -8))).toBe(1 + 2 ** -6);
  });

  it('reads every dtype, aligned or not', () => {
    const bytes = new Uint8Array(33);
    const view = new DataView(bytes.buffer, 1);
    view.setFloat32(0, 1.5, true);
    expect([...toFloat32(bytes.subarray(1, 5), 'F32')]).toEqual([1.5]);
    view.setFloat64(0, 1 / 3, true);
    expect([...toFloat64(bytes.subarray(1, 9), 'F64')]).toEqual([1 / 3]);
    view.setBigInt64(0, -5n, true);
    expect([...toFloat64(bytes.subarray(1, 9), 'I64')]).toEqual([-5]);
    view.setInt16(0, -300, true);
    expect([...toFloat32(bytes.subarray(1, 3), 'I16')]).toEqual([-300]);
    expect([...toFloat32(Uint8Array.of(1, 0), 'BOOL')]).toEqual([1, 0]);
  });
});
