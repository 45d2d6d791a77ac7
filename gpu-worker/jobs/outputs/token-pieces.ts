/** Tells the texts of one run while they grow, token by token. */
import type { Alternative, TokenPiece } from '../../../shared/contracts/token-piece.ts';
import { type GeneratedToken, type Generation, type LanguageModel, TextGrowth, tokenText } from '../../lm/index.ts';

type Growing = { growth: TextGrowth; tokens: number };

export class TokenPieces {
  readonly #model: LanguageModel;
  readonly #run: number;
  readonly #texts: Growing[];
  readonly #detailed: boolean;
  readonly #tell: (piece: TokenPiece) => void;

  /** @param detailed whether the text of each token and its alternatives are told as well */
  constructor(
    model: LanguageModel,
    { run, prompts, stop, detailed }: { run: number; prompts: readonly number[][]; stop: string[]; detailed: boolean },
    tell: (piece: TokenPiece) => void,
  ) {
    const { tokenizer } = model;
    this.#model = model;
    this.#run = run;
    this.#texts = tokenizer
      ? prompts.map((prompt) => ({ growth: new TextGrowth(tokenizer, prompt, stop), tokens: 0 }))
      : [];
    this.#detailed = detailed;
    this.#tell = tell;
  }

  heard(token: GeneratedToken): void {
    const text = this.#texts[token.row];
    if (!text) {
      return;
    }
    const text_from = text.growth.length;
    this.#tell({
      run: this.#run,
      prompt: token.row,
      from: text.tokens++,
      tokens: [token.token],
      log_probabilities: [token.logProbability],
      token_texts: this.#detailed ? [tokenText(this.#model)(token.token)] : null,
      alternatives: this.#detailed ? [shownAlternatives(this.#model, token.alternatives)] : null,
      text_from,
      text: text.growth.push(token.token),
      finish: null,
    });
  }

  /** All texts of the run are there: what was held back follows, and how each ended. */
  ended(generations: readonly Generation[]): void {
    for (const [prompt, { text: whole, finish }] of generations.entries()) {
      const text = this.#texts[prompt];
      if (text) {
        this.#tell({
          run: this.#run,
          prompt,
          from: text.tokens,
          tokens: [],
          log_probabilities: [],
          token_texts: this.#detailed ? [] : null,
          alternatives: this.#detailed ? [] : null,
          text_from: text.growth.length,
          text: text.growth.end(whole),
          finish,
        });
      }
    }
  }
}

/** Alternatives with their texts. */
export const shownAlternatives = (model: LanguageModel, alternatives: GeneratedToken['alternatives']): Alternative[] =>
  alternatives.map(({ token, logProbability }) => ({
    token,
    text: tokenText(model)(token),
    log_probability: logProbability,
  }));
