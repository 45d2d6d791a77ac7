/** Words whose first letter a model is asked for, as activations and codes at their tokens. */
import { stream } from '../../shared/math/random.ts';
import { groups } from '../lm/activations.ts';
import type { LanguageModel } from '../lm/model.ts';
import type { Tokenizer } from '../lm/tokenizer.ts';
import { type Absorption, absorption, type SpelledWords } from './absorption.ts';
import type { Encoder } from './encoder.ts';
import { encodeActivations, type TrainedSae } from './evaluate.ts';

export type SpellingOptions = { encoder: Encoder; seed: number; examples: number };
/** Different words of one token, and the number of those given that are not, or again. */
export type Vocabulary = { words: { word: string; token: number }[]; dropped: number };

const WORD = /^[A-Za-z]{2,}$/;
const TRAIN_SHARE = 0.8;
/** Sequences per forward pass. */
const PASS = 32;

/** The given words that are one token, after a space or alone; without a list, all of the tokenizer's that are made of letters. */
export function spellingWords(tokenizer: Tokenizer, given: readonly string[] | null): Vocabulary {
  const words = given ?? [
    ...new Set(Array.from({ length: tokenizer.size }, (_, id) => tokenizer.decode([id]).trim()).filter(isWord)),
  ];
  const seen = new Set<number>();
  const found = words.flatMap((word) => {
    // SentencePiece puts the space before a word itself.
    const single = [` ${word}`, word].map((text) => tokenizer.encode(text, { special: false }));
    const ids = single.find(({ length }) => length === 1);
    // A word given twice must not be both learned from and held out.
    if (!isWord(word) || !ids || seen.has(ids[0]!)) return [];
    seen.add(ids[0]!);
    return [{ word, token: ids[0]! }];
  });
  return { words: found, dropped: given === null ? 0 : words.length - found.length };
}

const isWord = (text: string): boolean => WORD.test(text);
const letterOf = ({ word }: { word: string }): string => word[0]!.toLowerCase();

/**
 * Absorption of first letters. As in SAEBench the word stands in a prompt that spells other words first ("cat: c"), and is
 * read at its own token; the examples are drawn from the words the probes learn from.
 */
export async function spellingAbsorption(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  tokenizer: Tokenizer,
  { words }: Vocabulary,
  { encoder, seed, examples }: SpellingOptions,
): Promise<Absorption> {
  const order = [...stream(seed, 'spelling/split').permutation(words.length)];
  const cut = Math.round(TRAIN_SHARE * words.length);
  const split = { train: order.slice(0, cut), test: order.slice(cut) };
  const prompt = (row: number): number[] => {
    const chosen = stream(seed, `spelling/examples/${row}`).permutation(cut);
    const shown = [...chosen].map((i) => split.train[i]!).filter((i) => i !== row);
    const lines = shown.slice(0, examples).map((i) => `${words[i]!.word}: ${letterOf(words[i]!)}\n`);
    return [...tokenizer.encode(lines.join('')), words[row]!.token];
  };
  const { inputs, width } = sae.parameters;
  const x = new Float32Array(words.length * inputs);
  let done = 0;
  for await (const ids of groups([...words.keys()].map(prompt), PASS)) {
    const { taps } = await model.forward({ ids, taps: [hook], tapAt: 'last', logits: 'none' });
    x.set(taps[hook]!.data, done * inputs);
    done += ids.length;
  }
  const spelled: SpelledWords = {
    inputs,
    width,
    x: Float64Array.from(x),
    codes: await encodeActivations(sae, x, encoder),
    letters: words.map(letterOf),
  };
  return absorption(spelled, sae.parameters.decoder, split);
}
