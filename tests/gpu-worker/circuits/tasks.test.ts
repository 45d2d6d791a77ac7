import { expect, it } from 'vitest';
import { encodePairs } from '../../../gpu-worker/circuits/tasks/encode.ts';
import { greaterThanPairs } from '../../../gpu-worker/circuits/tasks/greater-than.ts';
import { ioiPairs } from '../../../gpu-worker/circuits/tasks/ioi.ts';
import { parseTaskFile } from '../../../gpu-worker/circuits/tasks/task-file.ts';
import { loadModel } from '../../../gpu-worker/lm/index.ts';
import { makeTokenizer } from '../../../gpu-worker/lm/tokenizer/tokenizer.ts';
import { TINY, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const lines = (...rows: unknown[]) => bytes(rows.map((row) => JSON.stringify(row)).join('\n'));

it('reads its own layout, the subject-verb layout and CSV', () => {
  const [own, verb] = parseTaskFile(
    lines(
      { clean: 'a b', corrupted: [1, 2], answer: 'x', other: ['y', 7], template: 3 },
      { clean_prefix: 'The cat', patch_prefix: 'The cats', clean_answer: ' is', patch_answer: ' are', case: 's' },
    ),
    'jsonl',
  );
  expect(own).toEqual({
    clean: 'a b',
    corrupted: [1, 2],
    answer: ['x'],
    other: ['y', 7],
    template: '3',
    positions: {},
  });
  expect(verb).toMatchObject({
    clean: 'The cat',
    corrupted: 'The cats',
    answer: [' is'],
    other: [' are'],
    template: 's',
  });
  const csv = 'clean,corrupted,correct_idx,incorrect_idx\n"a, b",c,12,"[3, 4]"\n';
  expect(parseTaskFile(bytes(csv), 'csv')).toEqual([
    { clean: 'a, b', corrupted: 'c', answer: [12], other: [3, 4], template: null, positions: {} },
  ]);
});

it.each([
  ['no JSON', bytes('{"clean"'), 'jsonl', /line 1 of the task is not JSON/],
  ['half a character', bytes('{"clean":"a\\ud800"}'), 'jsonl', /line 1 of the task holds half of a character/],
  ['Latin-1', Buffer.from('{"clean":"\u00e9"}', 'latin1'), 'jsonl', /not UTF-8/],
  ['a missing column', lines({ clean: 'a', corrupted: 'b', answer: 'c' }), 'jsonl', /line 1 of the task: other/],
  ['no pairs', bytes('\n'), 'jsonl', /no pairs/],
  ['texts for ids', bytes('clean,corrupted,correct_idx,incorrect_idx\na,b,x,3\n'), 'csv', /'x' holds no token ids/],
] as const)('refuses %s', (_, content, format, message) => {
  expect(() => parseTaskFile(content, format)).toThrow(message);
});

it('counts pairs that cannot be compared, with examples', async () => {
  const { folder, remove } = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
  const model = await loadModel(folder);
  const pair = { clean: 'w2 w3', corrupted: 'w4 w5', answer: ['w6'], other: ['w7'], template: null, positions: {} };
  const encode = (...changes: Partial<typeof pair>[]) =>
    encodePairs(
      model,
      changes.map((change) => ({ ...pair, ...change })),
      true,
    );
  expect(encode({ positions: { first: 0, last: -1 } })).toEqual([
    {
      clean: [1, 2, 3],
      corrupted: [1, 4, 5],
      answer: [6],
      other: [7],
      template: null,
      positions: { first: 1, last: 2 },
    },
  ]);
  expect(() => encode({}, { corrupted: 'w4' })).toThrow(
    /1 of 2 pairs are of unequal length.*pair 1: 'w2 w3' is 3 tokens, 'w4' 2/,
  );
  expect(() => encode({ answer: ['w6 w7'] })).toThrow(
    /1 of 1 pairs have an answer that is not one token.*'w6 w7' is 2/,
  );
  expect(() => encode({ other: ['w6'] })).toThrow(/one token as answer and as other/);
  expect(() => encode({ positions: { x: 9 } as never })).toThrow(/outside their prompt: pair 0: x at 9 of 3/);
  await model.release();
  remove();
});

it('generates indirect objects in both orders, with their positions and twins', () => {
  const words = new Map<string, number>();
  const idOf = (word: string) => words.get(word) ?? words.set(word, words.size).size - 1;
  // Every word is a token, punctuation its own.
  const encode = (text: string) => (text.match(/\w+|[^\s\w]/g) ?? []).map(idOf);
  const tokenizer = { ...makeTokenizer(wordTokenizer().json, wordTokenizer().config), encode };
  for (const corruption of ['abc', 's2_io', 'io', 's', 'order'] as const) {
    const pairs = ioiPairs(tokenizer, { pairs: 60, corruption, seed: 1 });
    expect(new Set(pairs.map(({ template }) => template)).size).toBe(30);
    for (const { clean, corrupted, answer, other, positions } of pairs) {
      const [ids, twin] = [encode(clean as string), encode(corrupted as string)];
      const at = (name: string, of = ids) => of[positions[name]!];
      expect(twin.length).toBe(ids.length);
      expect([at('IO'), at('S1'), at('S2')]).toEqual([
        ...encode(answer[0] as string),
        ...encode(`${other[0]} ${other[0]}`),
      ]);
      const [io, s1, s2] = [at('IO', twin), at('S1', twin), at('S2', twin)];
      const own = { io: at('IO'), s: at('S1') };
      const fits = {
        abc: new Set([io, s1, s2, own.io, own.s]).size === 5,
        s2_io: io === own.io && s1 === own.s && s2 === own.io,
        io: io !== own.io && s1 === own.s && s2 === own.s,
        s: io === own.io && s1 !== own.s && s1 === s2,
        order: io === own.s && s1 === own.io && s2 === own.s,
      };
      expect(fits[corruption]).toBe(true);
    }
  }
  expect(() =>
    ioiPairs(makeTokenizer(wordTokenizer().json, {}), { pairs: 2, corruption: 'abc', seed: 0 }),
  ).not.toThrow();
});

it('generates later years where years are tokens, and refuses where they are not', () => {
  const encode = (text: string) =>
    (text.match(/ ?[A-Za-z]+| ?\d\d|\d/g) ?? []).map((token) =>
      [...token].reduce((id, c) => id * 31 + c.charCodeAt(0), 7),
    );
  const tokenizer = { ...makeTokenizer(wordTokenizer().json, {}), encode };
  const [pair] = greaterThanPairs(tokenizer, { pairs: 1, seed: 2 });
  const year = Number(/year \d\d(\d\d) to/.exec(pair!.clean as string)![1]);
  expect(pair!.corrupted).toMatch(/year \d\d01 to \d\d$/);
  expect([pair!.answer.length, pair!.other.length]).toEqual([99 - year, year + 1]);
  const letters = { ...tokenizer, encode: (text: string) => [...text].map((c) => c.charCodeAt(0)) };
  expect(() => greaterThanPairs(letters, { pairs: 1, seed: 0 })).toThrow(/0 of 100 two-digit years are single tokens/);
});
