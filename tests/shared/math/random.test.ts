import { describe, expect, it } from 'vitest';
import { stream } from '../../../shared/math/random.ts';
import { philox4x32 } from '../../support/philox.ts';

const hex = (words: Uint32Array) => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('Philox4x32-10', () => {
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('gives the published vector for counter %j', (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox4x32(counter, key, out);
    expect(hex(out)).toBe(expected);
  });
});

describe('streams', () => {
  const draws = {
    words: (n: number, start: number) => stream(7, 'a').words(n, start),
    uniform: (n: number, start: number) => stream(7, 'a').uniform(n, { start }),
    normal: (n: number, start: number) => stream(7, 'a').normal(n, { start }),
    uniform32: (n: number, start: number) => stream(7, 'a').uniform32(n, { start }),
  };
  it.each(Object.entries(draws))('%s depends on the index only', (_, draw) => {
    const whole = draw(50, 0);
    for (const [start, n] of [
      [0, 7],
      [7, 11],
      [18, 32],
    ] as const) {
      expect([...draw(n, start)]).toEqual([...whole.subarray(start, start + n)]);
    }
  });

  it('is Philox over (block, hash of the name) under the seed, far along the stream too', () => {
    // FNV-1a of no bytes is its offset basis, cbf29ce4 84222325.
    const block = new Uint32Array(4);
    for (const seed of [0, 7, 2 ** 40 + 17]) {
      for (const at of [0, 1, 2 ** 31, 2 ** 32 + 5, 2 ** 40]) {
        const counter = [at % 2 ** 32, Math.floor(at / 2 ** 32), 0x84222325, 0xcbf29ce4] as const;
        philox4x32(counter, [seed % 2 ** 32, Math.floor(seed / 2 ** 32)], block);
        expect([...stream(seed, '').words(4, 4 * at)]).toEqual([...block]);
      }
    }
  });

  it('differs between seeds and names, and repeats for the same', () => {
    const first = [...stream(1, 'x').words(8)];
    expect([...stream(1, 'x').words(8)]).toEqual(first);
    expect([...stream(2, 'x').words(8)]).not.toEqual(first);
    expect([...stream(1, 'y').words(8)]).not.toEqual(first);
    expect([...stream(1 + 2 ** 32, 'x').words(8)]).not.toEqual(first);
  });

  it('has normal moments', () => {
    const n = 200_000;
    const x = stream(3, 'moments').normal(n);
    const moment = (power: number) => x.reduce((sum, value) => sum + value ** power, 0) / n;
    expect(Math.abs(moment(1))).toBeLessThan(0.01);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.015);
    expect(Math.abs(moment(3))).toBeLessThan(0.04);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.1);
  });

  it('permutes, and chooses subsets without repeats', () => {
    const order = stream(5, 'p').permutation(1000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    const some = stream(5, 's').subset(1_000_000, 500);
    expect(new Set(some).size).toBe(500);
    const counts = new Uint32Array(5);
    for (let i = 0; i < 5000; i++) {
      for (const item of stream(i, 'c').subset(5, 2)) {
        counts[item]! += 1;
      }
    }
    for (const count of counts) {
      expect(Math.abs(count - 2000)).toBeLessThan(150);
    }
  });

  it('refuses seeds that are not integers from 0 below 2^53', () => {
    for (const seed of [-1, 0.5, 2 ** 53, Number.NaN]) {
      expect(() => stream(seed, 'x')).toThrow(RangeError);
    }
  });
});
