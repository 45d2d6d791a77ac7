/** Words whose first letter a model is asked for, as activations and codes at their tokens. */
import { stream } from '../../../shared/math/random.ts';
import { groups, type LanguageModel, type Tokenizer } from '../../lm/index.ts';
import { splitRows } from '../../study/index.ts';
import type { Encoder } from '../codes/encoder.ts';
import { encodeActivations, type TrainedSae } from '../measures/evaluate.ts';
import { type Absorption, absorption, type SpelledWords } from './absorption.ts';
import type { Split } from './probing.ts';

type SpellingOptions = { encoder: Encoder; seed: number; examples: number };
/** Different words with their tokens, and the number of those given that have more tokens than wanted, or come again. */
export type Vocabulary = { words: { word: string; tokens: number[] }[]; dropped: number };

const WORD = /^[A-Za-z]{2,}$/;
const SHARES = { train: 0.8, test: 0.2 };
/** Sequences per forward pass. */
const PASS = 32;

/**
 * The given words of at most `longest` tokens, after a space or alone; without a list, all of the tokenizer's that are made of
 * letters.
 */
export function spellingWords(tokenizer: Tokenizer, given: readonly string[] | null, longest = 1): Vocabulary {
  const words = given ?? [
    ...new Set(Array.from({ length: tokenizer.size }, (_, id) => tokenizer.decode([id]).trim()).filter(isWord)),
  ];
  const seen = new Set<string>();
  const found = words.flatMap((word) => {
    // SentencePiece puts the space before a word itself.
    const [after, alone] = [` ${word}`, word].map((text) => tokenizer.encode(text, { special: false })) as [
      number[],
      number[],
    ];
    const tokens = alone.length < after.length ? alone : after;
    // A word given twice must not be both learned from and held out.
    if (!isWord(word) || tokens.length === 0 || tokens.length > longest || seen.has(tokens.join())) {
      return [];
    }
    seen.add(tokens.join());
    return [{ word, tokens }];
  });
  return { words: found, dropped: given === null ? 0 : words.length - found.length };
}

const isWord = (text: string): boolean => WORD.test(text);
const letterOf = ({ word }: { word: string }): string => word[0]!.toLowerCase();

/** Activations [words, width] of words where their first letter is asked for, and the words to learn from. */
type SpelledActivations = { x: Float32Array; letters: string[]; split: Split };

/**
 * As in SAEBench each word stands in a prompt that spells other words first ("cat: c"), and is read at its last token; the
 * examples are drawn from the words to learn from.
 */
export async function spelledActivations(
  model: LanguageModel,
  hook: string,
  tokenizer: Tokenizer,
  { words }: Vocabulary,
  { seed, examples }: Omit<SpellingOptions, 'encoder'>,
): Promise<SpelledActivations> {
  const keys = words.map(({ tokens }) => tokens.join());
  const split = splitRows(keys, SHARES, stream(seed, 'spelling/split'));
  const prompt = (row: number): number[] => {
    const chosen = stream(seed, `spelling/examples/${row}`).permutation(split.train.length);
    const shown = [...chosen].map((i) => split.train[i]!).filter((i) => i !== row);
    const lines = shown.slice(0, examples).map((i) => `${words[i]!.word}: ${letterOf(words[i]!)}\n`);
    return [...tokenizer.encode(lines.join('')), ...words[row]!.tokens];
  };
  const width = model.widthAt(hook)!;
  const x = new Float32Array(words.length * width);
  let done = 0;
  for await (const ids of groups([...words.keys()].map(prompt), PASS)) {
    const { taps } = await model.forward({ ids, taps: [hook], tapAt: 'last', logits: 'none' });
    x.set(taps[hook]!.data, done * width);
    done += ids.length;
  }
  return { x, letters: words.map(letterOf), split };
}

/** Absorption of first letters on the words of `spelledActivations`. */
export async function spellingAbsorption(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  tokenizer: Tokenizer,
  vocabulary: Vocabulary,
  { encoder, ...options }: SpellingOptions,
): Promise<Absorption> {
  const { x, letters, split } = await spelledActivations(model, hook, tokenizer, vocabulary, options);
  const { inputs, width } = sae.parameters;
  const codes = await encodeActivations(sae, x, encoder);
  const spelled: SpelledWords = { inputs, width, x: Float64Array.from(x), codes, letters };
  return absorption(spelled, sae.parameters.decoder, split);
}
