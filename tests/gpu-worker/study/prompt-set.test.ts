import { describe, expect, it } from 'vitest';
import { promptKey, requireDisjoint, splitPrompts, splitRows } from '../../../gpu-worker/study/index.ts';
import { stream } from '../../../shared/math/random.ts';

const SHARES = { train: 0.6, validation: 0.2, test: 0.2 };
const prompts = Array.from({ length: 100 }, (_, i) => ({ text: `prompt number ${i}`, label: i % 4 === 0 ? 'a' : 'b' }));

describe('splits of prompts', () => {
  it('are disjoint, together all, of the shares asked for, and the same for the same seed', () => {
    const split = splitPrompts(prompts, SHARES, stream(3, 'split'));
    const all = [...split.train, ...split.validation, ...split.test];
    expect(new Set(all)).toEqual(new Set(prompts));
    expect(all).toHaveLength(100);
    for (const [name, share] of Object.entries(SHARES) as [keyof typeof SHARES, number][]) {
      expect(split[name].filter(({ label }) => label === 'a')).toHaveLength(25 * share);
      expect(split[name].filter(({ label }) => label === 'b')).toHaveLength(75 * share);
    }
    expect(splitPrompts(prompts, SHARES, stream(3, 'split'))).toEqual(split);
    expect(splitPrompts(prompts, SHARES, stream(4, 'split'))).not.toEqual(split);
    expect(() => requireDisjoint(split)).not.toThrow();
  });

  it('keep groups and repeated texts on one side, however they are linked', () => {
    for (let seed = 0; seed < 20; seed++) {
      const linked = prompts.map((prompt, i) => ({
        ...prompt,
        // 0 and 1 share a group, 1 and 2 a text, 2 and 3 a group: all four belong together.
        text: i % 10 === 2 ? `  Prompt  number ${i - 1}!` : prompt.text,
        group: `${Math.floor(i / 10)}/${i % 10 < 2 ? 'x' : i % 10 < 4 ? 'y' : i}`,
      }));
      const split = splitPrompts(linked, { train: 0.5, test: 0.5 }, stream(seed, 'split'));
      expect(split.train.length + split.test.length).toBe(100);
      expect(() => requireDisjoint(split), `seed ${seed}`).not.toThrow();
    }
  });

  it('of different rows are a permutation cut at the share', () => {
    const keys = Array.from({ length: 37 }, (_, i) => String(i));
    const order = [...stream(9, 'rows').permutation(37)];
    const cut = Math.round(0.7 * 37);
    expect(splitRows(keys, { train: 0.7, test: 0.3 }, stream(9, 'rows'))).toEqual({
      train: order.slice(0, cut),
      test: order.slice(cut),
    });
  });

  it('that would leave a label without prompts are refused', () => {
    const few = [...prompts.slice(0, 8), { text: 'the only one', label: 'c' }];
    expect(() => splitPrompts(few, SHARES, stream(1, 'split'))).toThrow(/would have no prompt labelled 'c'/);
    expect(() => splitPrompts([], SHARES, stream(1, 'split'))).toThrow(/would have no prompt/);
  });
});

describe('given splits', () => {
  it('are refused where a text or a group stands in two of them, with where', () => {
    const train = [{ text: 'Tell me a story.' }, { text: 'b', group: 'g' }];
    expect(() => requireDisjoint({ train, test: [{ text: 'another' }, { text: ' tell me  a story' }] })).toThrow(
      'test/1 is train/0 again',
    );
    expect(() => requireDisjoint({ train, test: [{ text: 'c', group: 'g' }] })).toThrow(
      'test/0 is of the group of train/1',
    );
    expect(() => requireDisjoint({ train: [...train, train[0]!], test: [{ text: 'c' }] })).not.toThrow();
  });

  it('are compared without case, spaces and punctuation at the ends', () => {
    expect(promptKey('  "How ARE\tyou?" ')).toBe(promptKey('how are you'));
    expect(promptKey('2 + 2')).not.toBe(promptKey('2 - 2'));
    expect(promptKey('?!')).not.toBe(promptKey('...'));
  });
});
