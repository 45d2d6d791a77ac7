import { describe, expect, it } from 'vitest';
import type { ScoredCandidate } from '../../../../gpu-worker/directions/refusal/candidate-scores.ts';
import { requireSelected, selectCandidate } from '../../../../gpu-worker/directions/refusal/selection.ts';

const candidate = (position: number, layer: number, bypass: number, induce: number, kl: number): ScoredCandidate => ({
  ...{ position, layer, bypass, induce, kl },
  empty: Number.isNaN(bypass),
  vector: new Float64Array(2),
});
const thresholds = { depth: 0.8, kl: 0.1, induce: 0 };

describe('selectCandidate', () => {
  const scored = [
    candidate(-1, 0, Number.NaN, 0, 0),
    candidate(-1, 1, -2, 1, 0.05),
    candidate(-1, 2, -5, 1, 0.2),
    candidate(-1, 3, -4, -1, 0.05),
    candidate(-1, 4, -9, 2, 0.01),
  ];

  it('takes the lowest bypass within the thresholds, and says what dropped the others', () => {
    const { selected, lowestBypass, highestInduce, dropped } = selectCandidate(scored, thresholds, 5);
    expect([selected?.layer, lowestBypass?.layer, highestInduce?.layer]).toEqual([1, 4, 4]);
    const layers = Object.fromEntries(
      Object.entries(dropped).map(([reason, list]) => [reason, list.map((s) => s.layer)]),
    );
    expect(layers).toEqual({ nan: [0], late_layer: [4], kl: [2], induce: [3] });
  });

  it('names the one change that admits the best of those that fail by a single threshold', () => {
    const none = scored.filter(({ layer }) => layer !== 1);
    const choose = (of: ScoredCandidate[]) => () =>
      requireSelected(selectCandidate(of, thresholds, 5), of, thresholds, 5);
    expect(choose(none)).toThrow(
      /1 have no difference, 1 lie too late, 1 exceed .* 1 induce .*depth 1\.000 alone would admit/,
    );
    expect(choose(none.filter(({ layer }) => layer < 4))).toThrow(/kl 0\.2000 alone would admit position -1, layer 2/);
    expect(choose([candidate(-1, 4, 0, -1, 1)])).toThrow(/no single threshold admits one/);
  });
});
