import { describe, expect, it } from 'vitest';
import { BLOCKED, cacheMask, causalMask, paddedMask } from '../../../../gpu-worker/lm/network/masks.ts';

/** Open positions as a picture: one line per query, x where it may look. */
const picture = (mask: Float32Array, width: number): string[] =>
  Array.from({ length: mask.length / width }, (_, row) =>
    Array.from(mask.subarray(row * width, (row + 1) * width), (value) =>
      value === 0 ? 'x' : value === Math.fround(BLOCKED) ? '.' : '?',
    ).join(''),
  );

describe('attention masks', () => {
  it('look back, within the window, itself included', () => {
    expect(picture(causalMask(4, null), 4)).toEqual(['x...', 'xx..', 'xxx.', 'xxxx']);
    expect(picture(causalMask(4, 2), 4)).toEqual(['x...', 'xx..', '.xx.', '..xx']);
    expect(picture(causalMask(4, 9), 4)).toEqual(picture(causalMask(4, null), 4));
  });

  it('never look at padding, which sees itself alone', () => {
    expect(picture(paddedMask(4, null, [0, 2]), 4)).toEqual([
      'x...',
      'xx..',
      'xxx.',
      'xxxx',
      'x...',
      '.x..',
      '..x.',
      '..xx',
    ]);
    expect(picture(paddedMask(4, 2, [1]), 4)).toEqual(['x...', '.x..', '.xx.', '..xx']);
  });

  it('of a cache open what each row fills and what the window still reaches', () => {
    expect(picture(cacheMask(1, 6, [4, 3], null), 6)).toEqual(['xxxx..', 'xxx...']);
    expect(picture(cacheMask(2, 6, [4], 3), 6)).toEqual(['..xx..', '...x..']);
    expect(picture(cacheMask(1, 3, [0], null), 3)).toEqual(['...']);
  });

  it('of a cache and of new positions together are the mask of the whole', () => {
    for (const window of [null, 1, 3, 5]) {
      for (const past of [2, 4]) {
        const whole = picture(causalMask(7, window), 7);
        const old = picture(cacheMask(7 - past, past, [past], window), past);
        const fresh = picture(causalMask(7 - past, window), 7 - past);
        for (let i = 0; i < 7 - past; i++) {
          expect(old[i]! + fresh[i]!).toBe(whole[past + i]);
        }
      }
    }
  });
});
