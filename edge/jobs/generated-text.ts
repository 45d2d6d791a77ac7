/**
 * What followers of a job have been told of its texts. An attempt that begins again tells the same texts from their
 * beginning: what was told is left out, so that a stream goes on where it broke off. That needs an attempt that generates the
 * same, as greedy and seeded sampling do; one that does not is refused.
 */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';

type Told = { tokens: number[]; text: string; ended: boolean };

export class GeneratedText {
  readonly #texts = new Map<string, Told>();

  constructor(told: readonly TokenPiece[]) {
    for (const piece of told) {
      this.add(piece);
    }
  }

  /**
   * What is new in a piece; null where nothing is.
   * @throws SextantError `conflict` for a gap, and for a text that differs from what was told
   */
  add(piece: TokenPiece): TokenPiece | null {
    const name = `${piece.run}/${piece.prompt}`;
    const told = this.#texts.get(name) ?? { tokens: [], text: '', ended: false };
    const known = told.tokens.length - piece.from;
    const knownText = told.text.length - piece.text_from;
    if (known < 0 || knownText < 0) {
      throw new SextantError('conflict', 'tokens before these have not arrived');
    }
    const again = told.tokens.slice(piece.from, piece.from + piece.tokens.length);
    const same = again.every((token, i) => token === piece.tokens[i]);
    const textAgain = told.text.slice(piece.text_from, piece.text_from + piece.text.length);
    if (!same || !piece.text.startsWith(textAgain)) {
      throw new SextantError('conflict', 'this attempt generates another text than the one before, which was told');
    }
    const fresh: TokenPiece = {
      ...piece,
      from: piece.from + again.length,
      tokens: piece.tokens.slice(again.length),
      log_probabilities: piece.log_probabilities.slice(again.length),
      token_texts: piece.token_texts?.slice(again.length) ?? null,
      alternatives: piece.alternatives?.slice(again.length) ?? null,
      text_from: piece.text_from + textAgain.length,
      text: piece.text.slice(textAgain.length),
      finish: told.ended ? null : piece.finish,
    };
    this.#texts.set(name, {
      tokens: [...told.tokens, ...fresh.tokens],
      text: told.text + fresh.text,
      ended: told.ended || piece.finish !== null,
    });
    return fresh.tokens.length > 0 || fresh.text !== '' || fresh.finish !== null ? fresh : null;
  }
}
