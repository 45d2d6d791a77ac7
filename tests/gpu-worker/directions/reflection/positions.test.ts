import { describe, expect, it } from 'vitest';
import { firstTrigger, matchedPlaces } from '../../../../gpu-worker/directions/reflection/positions.ts';
import { probingPrefixes } from '../../../../gpu-worker/directions/reflection/probing.ts';

const [NL, WAIT, X] = [5, 9, 1];
const texts = [
  { ids: [X, X, NL, WAIT, X, NL, X], from: 1 },
  { ids: [X, X, NL, X, X, NL, X], from: 1 },
  { ids: [X, 2, WAIT, NL, X, NL, WAIT], from: 1 },
];
const triggers = new Set([WAIT]);

describe('matchedPlaces', () => {
  it('takes both kinds at the token that stands most often before a trigger', () => {
    const { surface, reflecting, other } = matchedPlaces(texts, triggers, 3);
    expect(surface).toBe(NL);
    expect(reflecting).toEqual([
      { text: 0, at: 2 },
      { text: 2, at: 5 },
    ]);
    expect(other).toEqual([
      { text: 0, at: 5 },
      { text: 1, at: 2 },
      { text: 1, at: 5 },
    ]);
  });

  it('says so where nothing reflects', () => {
    expect(() => matchedPlaces([texts[1]!], triggers, 3)).toThrow(/none of the 1 answers holds a trigger/);
  });
});

it('cuts a text before its first trigger, at a random end, and where nothing follows', () => {
  expect(texts.map((text) => firstTrigger(text, triggers))).toEqual([3, -1, 2]);
  const { before_reflection, random_end, not_followed, none } = probingPrefixes(texts, triggers, NL, 0);
  expect(before_reflection).toEqual([
    [X, X, NL],
    [X, 2],
  ]);
  expect(none).toEqual([[X], [X]]);
  expect(random_end).toHaveLength(2);
  expect([
    [X, X, NL],
    [X, X, NL, X, X, NL],
  ]).toContainEqual(not_followed[0]);
});
