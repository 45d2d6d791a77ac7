/** Single tokens as they are shown to readers. */
import type { Tokenizer } from './tokenizer.ts';

/** Text of one token, special ones by name; its number where the model has no tokenizer. */
export const tokenText =
  ({ tokenizer }: { tokenizer: Tokenizer | null }) =>
  (token: number): string => {
    if (!tokenizer) {
      return String(token);
    }
    return tokenizer.spaced.get(token) ?? tokenizer.decode([token], { special: true });
  };
