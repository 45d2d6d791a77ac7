/** One text while it is generated: what was seen, how tokens are drawn, and when it ends. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type RandomStream, stream } from '../../../shared/math/random.ts';
import type { LanguageModel } from '../inference/model.ts';
import type { GeneratedToken, GenerateOptions, Generation } from './generation.ts';
import { checkSampling, likeliest, sample } from './sampling.ts';

export class TextRow {
  /** The prompt and what was generated. */
  readonly seen: number[];
  readonly prompt: readonly number[];
  done = false;
  readonly #model: LanguageModel;
  readonly #options: GenerateOptions;
  readonly #stopTokens: ReadonlySet<number>;
  readonly #random: RandomStream;
  readonly #result: Generation = { tokens: [], logProbabilities: [], alternatives: [], text: '', finish: 'length' };

  /**
   * @param number by which the row draws
   * @param stopTokens that end it
   */
  constructor(
    model: LanguageModel,
    prompt: ArrayLike<number>,
    options: GenerateOptions,
    { number, stopTokens }: { number: number; stopTokens: ReadonlySet<number> },
  ) {
    this.#model = model;
    this.prompt = Array.from(prompt);
    this.seen = Array.from(prompt);
    this.#options = options;
    this.#stopTokens = stopTokens;
    this.#random = stream(options.seed ?? 0, `generate row ${number}`);
  }

  /** Tokens that were generated. */
  get made(): number {
    return this.#result.tokens.length;
  }

  /** Draws the next token from its logits; `normaliser` is the log of their sum of exp. */
  take(chances: Float32Array, normaliser: number): Omit<GeneratedToken, 'row'> {
    const { maxTokens = 128, stop = [], alternatives: asked = 0 } = this.#options;
    const result = this.#result;
    const start = this.made;
    const token = sample(chances, this.#options, this.seen, () => this.#random.uniform(1, { start })[0]!);
    const logProbability = chances[token]! - normaliser;
    this.seen.push(token);
    result.tokens.push(token);
    result.logProbabilities.push(logProbability);
    const alternatives = likeliest(chances, asked).map((other) => ({
      token: other,
      logProbability: chances[other]! - normaliser,
    }));
    if (asked > 0) {
      result.alternatives.push(alternatives);
    }
    if (this.#stopTokens.has(token)) {
      [this.done, result.finish] = [true, 'stop_token'];
    } else if (stop.length > 0) {
      const text = this.#model.tokenizer?.continuation([...this.prompt], result.tokens) ?? '';
      if (stop.some((part) => text.includes(part))) {
        [this.done, result.finish] = [true, 'stop_string'];
      }
    }
    // The last token is not fed back, so one more than the context has room for can be chosen.
    if (this.seen.length > this.#model.architecture.context || this.made >= maxTokens) {
      this.done = true;
    }
    return { token, logProbability, alternatives, finish: this.done ? result.finish : null };
  }

  /** What was generated; its text ends before a stop string. */
  result(): Generation {
    return { ...this.#result, text: this.#text() };
  }

  #text(): string {
    const { tokenizer } = this.#model;
    const { tokens, finish } = this.#result;
    if (!tokenizer) {
      return '';
    }
    const text = tokenizer.continuation([...this.prompt], tokens);
    if (finish !== 'stop_string') {
      return text;
    }
    const ends = (this.#options.stop ?? []).map((part) => text.indexOf(part)).filter((at) => at >= 0);
    return text.slice(0, Math.min(...ends));
  }
}

/** A row of each prompt. @throws SextantError `data_invalid` for options out of range; `tokenizer_mismatch` */
export function textRows(
  model: LanguageModel,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions,
): TextRow[] {
  checkSampling(options);
  const { maxTokens = 128, stop = [] } = options;
  if (!(Number.isInteger(maxTokens) && maxTokens >= 0)) {
    throw new SextantError('data_invalid', `${maxTokens} tokens to generate; it must be a whole number from 0`);
  }
  if (stop.includes('')) {
    throw new SextantError('data_invalid', 'an empty stop string is in every text');
  }
  if (stop.length > 0 && !model.tokenizer) {
    throw new SextantError('tokenizer_mismatch', 'stop strings need a tokenizer');
  }
  const stopTokens = new Set(options.stopTokens ?? endTokens(model));
  return prompts.map((prompt, row) => {
    const number = options.rowNumbers?.[row] ?? row;
    const text = new TextRow(model, prompt, options, { number, stopTokens });
    text.done = maxTokens === 0;
    return text;
  });
}

/**
 * Tokens that end a text: those of the publisher's `generation_config.json`, or else of the model's config; and the
 * tokenizer's.
 */
function endTokens({ folder, tokenizer, published }: LanguageModel): number[] {
  const fromConfig = published.endTokens ?? folder.config.eos_token_id;
  const listed = Array.isArray(fromConfig) ? fromConfig : [fromConfig];
  return [...listed, tokenizer?.eos].filter((id): id is number => typeof id === 'number');
}
