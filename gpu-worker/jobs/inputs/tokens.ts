/** Texts and words of params as token ids of the job's model. */
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import type { LanguageModel, Tokenizer } from '../../lm/index.ts';

/** @throws SextantError `data_invalid` where the model's folder has none */
export function requireTokenizer({ tokenizer }: Pick<LanguageModel, 'tokenizer'>): Tokenizer {
  if (!tokenizer) {
    throw new SextantError('data_invalid', 'the model has no tokenizer: it cannot read texts');
  }
  return tokenizer;
}

/** @throws SextantError `data_invalid` where the model has no tokenizer or a text has no tokens; `context_exceeded` */
export function encodeTexts(model: LanguageModel, texts: readonly string[], pointer: string): number[][] {
  const { architecture } = model;
  const tokenizer = requireTokenizer(model);
  return texts.map((text, i) => {
    const ids = tokenizer.encode(text);
    if (ids.length === 0) {
      throw paramError('data_invalid', `${pointer}/${i}`, 'the text has no tokens');
    }
    if (ids.length > architecture.context) {
      const detail = `the text has ${ids.length} tokens, the model reads ${architecture.context}`;
      throw paramError('context_exceeded', `${pointer}/${i}`, detail);
    }
    return ids;
  });
}

/**
 * Id of a text that is one token as it stands.
 * @throws SextantError `data_invalid` where it is none or several, or the one that stands for all words unknown
 */
export function singleToken(model: LanguageModel, text: string, pointer: string): number {
  const tokenizer = requireTokenizer(model);
  const ids = tokenizer.encode(text, { special: false });
  if (ids.length === 1) {
    const unknown = tokenizer.encode('\u{10ffff}', { special: false });
    if (unknown.length === 1 && unknown[0] === ids[0]) {
      throw paramError('data_invalid', pointer, `'${text}' is not in the vocabulary of the model`);
    }
    return ids[0]!;
  }
  throw paramError('data_invalid', pointer, `'${text}' is ${ids.length} tokens of the model, not one`);
}

/** Ids of words that are single tokens, alone or after a space. @throws SextantError `data_invalid` naming the word that is not */
export function tokenSet(model: LanguageModel, words: readonly string[], pointer: string): number[] {
  const tokenizer = requireTokenizer(model);
  const unknown = tokenizer.encode('\u{10ffff}', { special: false });
  return words.flatMap((word, i) => {
    const found = [word, ` ${word}`]
      .map((text) => tokenizer.encode(text, { special: false }))
      .filter((ids) => ids.length === 1 && !(unknown.length === 1 && ids[0] === unknown[0]))
      .map(([id]) => id!);
    if (found.length === 0) {
      throw paramError('data_invalid', `${pointer}/${i}`, `'${word}' is not a single token of the model`);
    }
    return [...new Set(found)];
  });
}

/**
 * The ids of the two poles' tokens, by which steering is judged.
 * @throws SextantError `data_invalid` as `tokenSet`, and where a token is on both poles
 */
export function poleTokens(
  model: LanguageModel,
  { positive, negative }: Record<'positive' | 'negative', { tokens: readonly string[] }>,
  pointer: string,
): { positive: number[]; negative: number[] } {
  const up = tokenSet(model, positive.tokens, `${pointer}/positive/tokens`);
  const down = tokenSet(model, negative.tokens, `${pointer}/negative/tokens`);
  const shared = down.find((id) => up.includes(id));
  if (shared === undefined) {
    return { positive: up, negative: down };
  }
  const text = requireTokenizer(model).decode([shared]);
  throw paramError(
    'data_invalid',
    `${pointer}/negative/tokens`,
    `'${text.trim()}' is on the positive pole too, and tells nothing of either`,
  );
}
