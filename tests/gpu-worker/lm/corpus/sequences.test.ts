import { describe, expect, it } from 'vitest';
import { repeated, shuffled } from '../../../../gpu-worker/lm/corpus/sequences.ts';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}

describe('shuffling', () => {
  it('gives every item once, in an order that the seed decides', async () => {
    const items = Array.from({ length: 200 }, (_, i) => i);
    const once = await all(shuffled(items, { size: 50, seed: 1 }));
    expect([...once].sort((a, b) => a - b)).toEqual(items);
    expect(once).not.toEqual(items);
    expect(await all(shuffled(items, { size: 50, seed: 1 }))).toEqual(once);
    expect(await all(shuffled(items, { size: 50, seed: 2 }))).not.toEqual(once);
    // Nothing is given earlier than the buffer allows.
    for (const [place, item] of once.entries()) {
      expect(item).toBeLessThan(place + 50);
    }
  });

  it('repeats as often as asked for, and ends where there is nothing', async () => {
    expect(await all(repeated(() => [1, 2], 3))).toEqual([1, 2, 1, 2, 1, 2]);
    expect(await all(repeated(() => []))).toEqual([]);
  });
});
