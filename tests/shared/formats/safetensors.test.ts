import { describe, expect, it } from 'vitest';
import { floatTensor, readSafetensors, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import { headerLength, type SafetensorsError } from '../../../shared/formats/safetensors-header.ts';

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') =>
  `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`;

/** A file whose header is `json` as written and whose data part has `dataBytes` bytes. */
function file(json: string, dataBytes: number): Uint8Array {
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as SafetensorsError).code;
  }
  return 'accepted';
}

describe('safetensors files', () => {
  it('survive a round trip, metadata and odd names included', () => {
    const values = Float32Array.from([1.5, -2, 3e-40, Number.POSITIVE_INFINITY, 0, 7]);
    const names = ['b', 'a', '__proto__', '7', 'name "with" \\ quotes\n', 'ü'];
    const bytes = writeSafetensors(
      names.map((name) => floatTensor(name, [2, 3], values)),
      { format: 'pt' },
    );
    const read = readSafetensors(bytes);
    expect([...read.header.tensors.keys()].sort()).toEqual([...names].sort());
    expect(read.header.metadata.format).toBe('pt');
    expect(read.header.dataStart % 8).toBe(0);
    for (const name of names) {
      expect(read.float32(name)).toEqual(values);
    }
  });

  it('hold scalars and empty tensors', () => {
    const bytes = writeSafetensors([
      floatTensor('empty', [0, 4], new Float32Array(0)),
      floatTensor('scalar', [], Float32Array.of(5)),
    ]);
    const read = readSafetensors(bytes);
    expect(read.shape('scalar')).toEqual([]);
    expect([...read.float32('scalar')]).toEqual([5]);
    expect(read.float32('empty').length).toBe(0);
  });

  it.each([
    ['safetensors_truncated', new Uint8Array(7)],
    ['safetensors_truncated', file('{}', 0).subarray(0, 9)],
    ['safetensors_out_of_bounds', file(`{"a":${entry(0, 16)}}`, 12)],
    ['safetensors_size_mismatch', file(`{"a":${entry(0, 16, [5])}}`, 16)],
    ['safetensors_size_mismatch', file(`{"a":${entry(0, 16, [9007199254740991, 9007199254740991])}}`, 16)],
    ['safetensors_overlap', file(`{"a":${entry(0, 16)},"b":${entry(8, 24)}}`, 24)],
    ['safetensors_gap', file(`{"a":${entry(0, 8)},"b":${entry(16, 24)}}`, 24)],
    ['safetensors_gap', file(`{"a":${entry(0, 8)}}`, 24)],
    ['safetensors_duplicate_name', file(`{"a":${entry(0, 8)},"\\u0061":${entry(8, 16)}}`, 16)],
    ['safetensors_duplicate_name', file(`{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}`, 8)],
    ['safetensors_dtype_unknown', file(`{"a":${entry(0, 8, [2], 'F8_E5M2')}}`, 8)],
    ['safetensors_dtype_unknown', file(`{"a":${entry(0, 8, [2], 'toString')}}`, 8)],
    ['safetensors_header_invalid', file(`{"a":${entry(8, 0, [2])}}`, 8)],
    ['safetensors_header_invalid', file(`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8)],
    ['safetensors_header_invalid', file(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8)],
    ['safetensors_header_invalid', file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8)],
    ['safetensors_header_invalid', file(`{"a":[[[[[[[1]]]]]]]}`, 0)],
    ['safetensors_header_invalid', file('{"a":{}', 0)],
    ['safetensors_header_invalid', file('{} {}', 0)],
    ['safetensors_header_invalid', file(' {}', 0)],
    ['safetensors_header_invalid', file('{"__metadata__":{"a":1}}', 0)],
    ['safetensors_header_invalid', file('{"a\u0001":1}', 0)],
  ])('are refused with %s', (code, bytes) => {
    expect(codeOf(() => readSafetensors(bytes))).toBe(code);
  });

  it('are refused for a header longer than the bound before it is read', () => {
    const prefix = new Uint8Array(8);
    new DataView(prefix.buffer).setBigUint64(0, 1n << 60n, true);
    expect(codeOf(() => headerLength(prefix, 2 ** 52))).toBe('safetensors_header_too_large');
  });

  it('never crash on damaged bytes: every error is typed', () => {
    const whole = writeSafetensors([floatTensor('weight', [3], Float32Array.of(1, 2, 3))]);
    for (let at = 0; at < whole.length - 12; at++) {
      for (const value of [0, 0x22, 0x7b, 0xff]) {
        const damaged = whole.slice();
        damaged[at] = value;
        expect(codeOf(() => readSafetensors(damaged))).toMatch(/^(safetensors_|accepted)/);
      }
    }
    for (let length = 0; length < whole.length; length++) {
      expect(codeOf(() => readSafetensors(whole.subarray(0, length)))).toMatch(/^safetensors_/);
    }
  });

  it('refuse to be written with bytes that do not fit the shape, or a name twice', () => {
    const tensor = floatTensor('a', [2], Float32Array.of(1));
    expect(codeOf(() => writeSafetensors([tensor]))).toBe('safetensors_size_mismatch');
    const good = floatTensor('a', [1], Float32Array.of(1));
    expect(codeOf(() => writeSafetensors([good, good]))).toBe('safetensors_duplicate_name');
  });
});
