import { expect, it } from 'vitest';
import { halfWay, verdicts } from '../../../gpu-worker/circuits/comparison/compare-readings.ts';
import { jaccard, pearson, spearman } from '../../../gpu-worker/circuits/comparison/correlation.ts';
import { matchedHeads } from '../../../gpu-worker/circuits/comparison/matched-heads.ts';
import { splitPairs } from '../../../gpu-worker/circuits/tasks/split.ts';
import { lessonSequences, lessonsOf, withReplay } from '../../../gpu-worker/circuits/tuning/label-sets.ts';
import { stream } from '../../../shared/math/random.ts';

const pairs = Array.from({ length: 40 }, (_, i) => ({
  clean: [50 + i, i % 7, 7 + (i % 5)],
  corrupted: [50 + i, 30, 31],
  answer: [i % 7],
  other: [7 + (i % 5)],
  template: String(i % 4),
}));

it('labels pairs as each set says', () => {
  const targets = (set: Parameters<typeof lessonsOf>[1]) => lessonsOf(pairs, set, 3, '/x').map(({ target }) => target);
  expect(targets({ kind: 'clean' })).toEqual(pairs.map(({ answer }) => answer[0]));
  expect(targets({ kind: 'sd' })).toEqual(pairs.map(({ other }) => other[0]));
  for (const [i, target] of targets({ kind: 'nm' }).entries()) {
    expect(target).toBeLessThan(12);
    expect(pairs[i]!.clean).not.toContain(target);
  }
  const mixed = targets({ kind: 'mix', share: 0.25 });
  expect(mixed.filter((target, i) => target === pairs[i]!.other[0])).toHaveLength(10);
  expect(() => targets({ kind: 'mix', share: 1.1 })).toThrow(/1.1 is no share of the pairs/);
  expect(() => lessonsOf(pairs.slice(0, 1), { kind: 'nm' }, 0, '/x')).toThrow(/there is none to move/);
});

it('counts answers alone, each pair once a pass, and text as much as an answer', async () => {
  const lessons = lessonsOf(pairs, { kind: 'clean' }, 0, '/x');
  const source = lessonSequences(lessons, 6, 1);
  const pass = Array.from({ length: 40 }, () => source.next().value!);
  expect(new Set(pass.map(({ ids }) => ids[0])).size).toBe(40);
  expect(pass[0]!.weights).toEqual([0, 0, 0, 1, 0, 0]);
  const text = (async function* () {
    for (;;) {
      yield [1, 2, 3, 4, 5, 6];
    }
  })();
  let replayed = 0;
  let seen = 0;
  for await (const { ids, weights } of withReplay(lessonSequences(lessons, 6, 1), { text, share: 0.5 }, 2)) {
    expect(Array.from(weights!).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1);
    replayed += Number(ids[0] === 1);
    if (++seen === 400) {
      break;
    }
  }
  expect(Math.abs(replayed - 200)).toBeLessThan(50);
});

it('splits by templates, or keeps twins together', () => {
  const { train, test } = splitPairs(pairs, 0.3, stream(1, 'split'));
  expect(train.length + test.length).toBe(40);
  expect(train.filter((pair) => test.some(({ template }) => template === pair.template))).toEqual([]);
  const twins = [0, 1, 2, 3].flatMap((i) => [
    { ...pairs[i]!, template: null },
    { ...pairs[i]!, clean: pairs[i]!.corrupted, corrupted: pairs[i]!.clean, template: null },
  ]);
  const parts = splitPairs(twins, 0.5, stream(2, 'split'));
  expect([parts.train.length, parts.test.length]).toEqual([4, 4]);
  expect(() => splitPairs(twins.slice(0, 2), 0.5, stream(2, 'split'))).toThrow(/1 groups/);
});

it('measures likeness, and says no more than intervals allow', () => {
  expect(pearson([1, 2, 3], [2, 4, 6])).toBeCloseTo(1);
  expect(pearson([1, 1, 1], [1, 2, 3])).toBeNull();
  expect(spearman([1, 2, 3, 4], [1, 10, 100, 90])).toBeCloseTo(0.8);
  expect(jaccard([1, 2], [2, 3])).toBeCloseTo(1 / 3);
  expect(
    halfWay([
      { step: 0, value: 4 },
      { step: 10, value: 0 },
      { step: 20, value: -4 },
    ]),
  ).toBe(10);
  const interval = (low: number, high: number) => ({ estimate: (low + high) / 2, low, high, error: 1 });
  const compared = (low: number, high: number, r: number) => ({
    difference: interval(low, high),
    pearson: interval(r, 1),
    spearman: null,
    jaccard: null,
  });
  const sure = verdicts(compared(0.1, 1, 0.9), compared(-2, -1, 0.1), {
    comparison: compared(0, 1, 0.9),
    recovery: interval(0.8, 1),
  });
  expect(sure).toEqual({ amplified: true, corrupted: true, restored: true });
  const unsure = verdicts(compared(-0.1, 1, 0.9), compared(-2, 0.1, 0.1), {
    comparison: compared(0, 1, 0.7),
    recovery: interval(0.8, 1),
  });
  expect(unsure).toEqual({ amplified: false, corrupted: false, restored: false });
});

it('compares the circuit with random sets of as many heads in each layer', () => {
  const metric = [0, 1, 2, 3];
  // Head 0 follows the metric, the others do not.
  const attribution = metric.map((value) => [value, (value * 7) % 3, -value, (value * 5) % 2]);
  const found = matchedHeads(attribution, metric, [0], 4, 1);
  expect(found.circuit).toBeCloseTo(1);
  expect(found.reached).toBeLessThan(0.5);
  expect(found.sets).toBe(200);
});
