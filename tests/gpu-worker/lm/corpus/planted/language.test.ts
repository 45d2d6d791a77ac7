import { describe, expect, test } from 'vitest';
import { AXES, announcement, isSigned, statesOf } from '../../../../../gpu-worker/lm/corpus/planted/axes.ts';
import { HEADER, PlantedLanguage } from '../../../../../gpu-worker/lm/corpus/planted/language.ts';
import { makeTokenizer } from '../../../../../gpu-worker/lm/tokenizer/tokenizer.ts';

const language = new PlantedLanguage(3);

describe('the generated language', () => {
  test('has at least three signed axes and some one-sided ones, and no word twice', () => {
    expect(AXES.filter(isSigned).length).toBeGreaterThanOrEqual(3);
    expect(AXES.filter((axis) => !isSigned(axis)).length).toBeGreaterThanOrEqual(1);
    expect(new Set(language.vocabulary).size).toBe(language.vocabulary.length);
  });

  test('announces the states of a document and depends on seed, split and index only', () => {
    const { ids, states } = language.document('train', 5, 20);
    for (const [a, axis] of AXES.entries()) {
      expect(language.vocabulary[ids[a + 1]!]).toBe(announcement(axis, states[a]!));
    }
    expect(new PlantedLanguage(3).document('train', 5, 20).ids).toEqual(ids);
    // A longer document begins with the shorter one.
    expect(language.document('train', 5, 40).ids.slice(0, 20)).toEqual(ids);
    expect(language.document('held-out', 5, 20).ids).not.toEqual(ids);
    expect(new PlantedLanguage(4).document('train', 5, 20).ids).not.toEqual(ids);
  });

  test('draws states with the stated probabilities', () => {
    const n = 4000;
    const documents = [...language.documents('count', HEADER, n)];
    for (const [a, axis] of AXES.entries()) {
      for (const state of statesOf(axis)) {
        const expected = state === 0 ? axis.rest : (1 - axis.rest) / (statesOf(axis).length - 1);
        const seen = documents.filter(({ states }) => states[a] === state).length / n;
        // five standard deviations of a binomial share
        expect(Math.abs(seen - expected)).toBeLessThan(5 * Math.sqrt((expected * (1 - expected)) / n));
      }
    }
  });

  test('its closed-form entropy rate is the mean surprisal of its text', () => {
    const [length, n] = [24, 4000];
    const values = [...language.documents('surprisal', length, n)].map((document) => language.surprisal(document));
    const mean = values.reduce((a, b) => a + b, 0) / n;
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n);
    expect(Math.abs(mean - language.entropyRate(length))).toBeLessThan((5 * deviation) / Math.sqrt(n));
  });

  test('log odds of the two poles are linear in the state with slope 2 x strength', () => {
    const axis = AXES[0]!;
    const counts = new Map<number, [positive: number, negative: number]>();
    const poles = [axis.positive, axis.negative].map((words) => new Set(words.map((word) => language.id(word))));
    for (const { ids, states } of language.documents('odds', 60, 6000)) {
      const count: [number, number] = counts.get(states[0]!) ?? [0, 0];
      for (const id of ids.subarray(HEADER)) {
        for (const i of [0, 1] as const) {
          if (poles[i]!.has(id)) {
            count[i]++;
          }
        }
      }
      counts.set(states[0]!, count);
    }
    for (const [state, [positive, negative]] of counts) {
      const spread = Math.sqrt(1 / positive + 1 / negative);
      expect(Math.abs(Math.log(positive / negative) - 2 * axis.strength * state)).toBeLessThan(5 * spread);
    }
  });

  test('its tokenizer reads and writes whole words', () => {
    const { json, config } = language.tokenizer();
    const tokenizer = makeTokenizer(json, config);
    const { ids } = language.document('train', 1, 30);
    const text = [...ids.subarray(1)].map((id) => language.vocabulary[id]).join(' ');
    expect(tokenizer.encode(text)).toEqual([...ids]);
    expect(tokenizer.decode([...ids])).toBe(text);
    expect(tokenizer.encode('glad unheard')).toEqual([0, language.id('glad'), language.id('<unk>')]);
  });

  test('refuses unknown words', () => {
    expect(() => language.id('sextant')).toThrow(/no word 'sextant'/);
  });
});
