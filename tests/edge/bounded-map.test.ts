import { expect, it } from 'vitest';
import { BoundedMap } from '../../edge/bounded-map.ts';

it('a full map gives up its oldest entry for a new one, and none for one that it has', () => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1).set('b', 2).set('a', 3);
  expect([...map]).toEqual([
    ['a', 3],
    ['b', 2],
  ]);
  map.set('c', 4);
  expect([...map.keys()]).toEqual(['b', 'c']);
  map.delete('b');
  map.set('d', 5);
  expect([...map.keys()]).toEqual(['c', 'd']);
});
