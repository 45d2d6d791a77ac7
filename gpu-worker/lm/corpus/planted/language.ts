/**
 * The generated language of the embedded default. A document announces the state of every axis, then runs on as a chain
 * of word classes: the next token is
 *
 *     p(word | state, previous class) ∝ T[previous class, class] · frequency(word | class) · exp(strength · state · pole(word))
 *
 * so that the logit of every word is linear in the state of its axis, with opposite signs at opposite poles. Every axis can
 * matter at every position, which makes a model keep all of them in its residual stream. Because the states are announced,
 * the distribution of the next token is known, and with it the entropy of the language.
 */
import { type RandomStream, stream } from '../../../../shared/math/random.ts';
import { tokenizerDocument } from '../../tokenizer/tokenizer-document.ts';
import type { SavedTokenizer } from '../../weights/save.ts';
import { AXES, type Axis, announcement, isSigned, LINKS, statesOf } from './axes.ts';

const SPECIAL = ['<s>', '</s>', '<unk>'] as const;
/** Tokens before the first free word: the beginning of the sequence and one announcement per axis. */
export const HEADER = 1 + AXES.length;

/** `states[a]` belongs to axis a and holds for the whole document; ids begin with `<s>` and the announcements. */
type PlantedDocument = { ids: Int32Array; states: Int8Array };

/** Words of one class and pole, with the frequencies of the words among themselves (Zipf-like, summing to 1). */
type Group = { first: number; frequencies: readonly number[]; pole: number };

const zipf = (count: number): number[] => {
  const weights = Array.from({ length: count }, (_, i) => 1 / (i + 1.5));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
};

export class PlantedLanguage {
  readonly axes: readonly Axis[] = AXES;
  readonly vocabulary: readonly string[];
  readonly seed: number;
  readonly #ids: ReadonlyMap<string, number>;
  /** Classes: one per axis, and the links last. */
  readonly #classes: readonly (readonly Group[])[];
  readonly #transitions: readonly (readonly number[])[];

  /** @param seed decides how classes follow each other; documents have streams of their own under the same seed */
  constructor(seed: number) {
    this.seed = seed;
    const announcements = AXES.flatMap((a) => statesOf(a).map((state) => announcement(a, state)));
    const vocabulary: string[] = [...SPECIAL, ...announcements];
    const group = (list: readonly string[], pole: number): Group[] => {
      if (list.length === 0) {
        return [];
      }
      const first = vocabulary.length;
      vocabulary.push(...list);
      return [{ first, frequencies: zipf(list.length), pole }];
    };
    this.#classes = [
      ...AXES.map((a) => [...group(a.positive, 1), ...group(a.neutral, 0), ...group(a.negative, -1)]),
      group(LINKS, 0),
    ];
    this.vocabulary = vocabulary;
    this.#ids = new Map(vocabulary.map((word, id) => [word, id]));
    const count = this.#classes.length;
    const draws = stream(seed, 'planted/transitions').uniform(count * count);
    // Half uniform, so that no axis ever stops mattering for the next token.
    this.#transitions = Array.from({ length: count }, (_, row) => {
      const weights = Array.from({ length: count }, (_, column) => -Math.log(1 - draws[row * count + column]!));
      const sum = weights.reduce((a, b) => a + b, 0);
      return weights.map((weight) => (0.5 * weight) / sum + 0.5 / count);
    });
  }

  /** Id of a word. Raises RangeError for a word the language does not have. */
  id(word: string): number {
    const id = this.#ids.get(word);
    if (id === undefined) {
      throw new RangeError(`the language has no word '${word}'`);
    }
    return id;
  }

  /** Unnormalised weight of a group of words in a class when its axis is in `state`; one-sided words are rare at rest. */
  #weight(classIndex: number, { pole }: Group, state: number): number {
    const axis = this.axes[classIndex];
    if (!axis) {
      return 1;
    }
    const offset = isSigned(axis) ? 0 : 0.5;
    return pole === 0 ? 1 : Math.exp(axis.strength * pole * (state - offset));
  }

  /** Probabilities of (class, group) after a class, for the given states. */
  #next(previous: number, states: ArrayLike<number>): { classIndex: number; group: Group; probability: number }[] {
    const options = this.#classes.flatMap((groups, classIndex) =>
      groups.map((group) => ({
        classIndex,
        group,
        probability:
          this.#transitions[previous]![classIndex]! * this.#weight(classIndex, group, states[classIndex] ?? 0),
      })),
    );
    const sum = options.reduce((total, { probability }) => total + probability, 0);
    for (const option of options) {
      option.probability /= sum;
    }
    return options;
  }

  /** Document `index` of a split ('train', 'held-out', ...), of `length` tokens. */
  document(split: string, index: number, length: number): PlantedDocument {
    const random: RandomStream = stream(this.seed, `planted/${split}/${index}`);
    const draws = random.uniform(AXES.length + 2 * length);
    const states = new Int8Array(AXES.length);
    const ids = new Int32Array(length);
    for (const [a, axis] of AXES.entries()) {
      const u = draws[a]!;
      const away = isSigned(axis) && u >= axis.rest + (1 - axis.rest) / 2 ? -1 : 1;
      states[a] = u < axis.rest ? 0 : away;
      if (a + 1 < length) {
        ids[a + 1] = this.id(announcement(axis, states[a]));
      }
    }
    let previous = this.#classes.length - 1;
    for (let at = HEADER; at < length; at++) {
      const options = this.#next(previous, states);
      const chosen = options[pick(options, (o) => o.probability, draws[AXES.length + 2 * at]!)]!;
      const word = pick(chosen.group.frequencies, (f) => f, draws[AXES.length + 2 * at + 1]!);
      ids[at] = chosen.group.first + word;
      previous = chosen.classIndex;
    }
    return { ids, states };
  }

  *documents(split: string, length: number, count = Number.POSITIVE_INFINITY, start = 0): Generator<PlantedDocument> {
    for (let i = 0; i < count; i++) {
      yield this.document(split, start + i, length);
    }
  }

  /** Mean surprisal in nats, under the language itself, of the tokens after `<s>`: what a perfect model would lose on them. */
  surprisal({ ids, states }: PlantedDocument): number {
    let total = 0;
    for (const [a, axis] of AXES.slice(0, ids.length - 1).entries()) {
      total -= Math.log(this.#prior(axis)[statesOf(axis).indexOf(states[a]!)]!);
    }
    let previous = this.#classes.length - 1;
    for (let at = HEADER; at < ids.length; at++) {
      const id = ids[at]!;
      const option = this.#next(previous, states).find(
        ({ group }) => id >= group.first && id < group.first + group.frequencies.length,
      );
      if (!option) {
        throw new RangeError(`token ${id} is not a word of the language`);
      }
      total -= Math.log(option.probability * option.group.frequencies[id - option.group.first]!);
      previous = option.classIndex;
    }
    return total / (ids.length - 1);
  }

  /** Entropy in nats of the next word when the states and the previous class are known. */
  #entropyAfter(previous: number, states: ArrayLike<number>): number {
    return this.#next(previous, states).reduce(
      (sum, { group, probability }) => sum + probability * (entropy(group.frequencies) - Math.log(probability)),
      0,
    );
  }

  /**
   * Mean entropy in nats of the tokens after `<s>` in documents of `length` tokens, exactly: the mean over all states of
   * the axes, and over the classes the chain can be in. No model can predict better on average.
   */
  entropyRate(length: number): number {
    if (length < 2) {
      throw new RangeError('a document of fewer than two tokens predicts nothing');
    }
    const announced = AXES.slice(0, length - 1).reduce((sum, a) => sum + entropy(this.#prior(a)), 0);
    let body = 0;
    for (const { states, probability } of this.#allStates()) {
      const count = this.#classes.length;
      const move = Array.from({ length: count }, (_, from) => {
        const row = new Float64Array(count);
        for (const option of this.#next(from, states)) {
          row[option.classIndex]! += option.probability;
        }
        return row;
      });
      const entropies = move.map((_, from) => this.#entropyAfter(from, states));
      let at = new Float64Array(count);
      at[count - 1] = 1;
      for (let token = HEADER; token < length; token++) {
        const next = new Float64Array(count);
        for (let from = 0; from < count; from++) {
          body += probability * at[from]! * entropies[from]!;
          for (let to = 0; to < count; to++) {
            next[to]! += at[from]! * move[from]![to]!;
          }
        }
        at = next;
      }
    }
    return (announced + body) / (length - 1);
  }

  #prior(axis: Axis): number[] {
    const states = statesOf(axis);
    return states.map((state) => (state === 0 ? axis.rest : (1 - axis.rest) / (states.length - 1)));
  }

  *#allStates(): Generator<{ states: number[]; probability: number }> {
    const walk = function* (
      language: PlantedLanguage,
      states: number[],
      probability: number,
    ): Generator<{ states: number[]; probability: number }> {
      const axis = language.axes[states.length];
      if (!axis) {
        return yield { states, probability };
      }
      const prior = language.#prior(axis);
      for (const [i, state] of statesOf(axis).entries()) {
        yield* walk(language, [...states, state], probability * prior[i]!);
      }
    };
    yield* walk(this, [], 1);
  }

  /** A tokenizer of whole words, in the format of `tokenizer.json`. */
  tokenizer(): SavedTokenizer {
    return {
      json: tokenizerDocument({
        special: SPECIAL,
        pre_tokenizer: { type: 'WhitespaceSplit' },
        // Whole words are in the vocabulary and no continuation is, so word pieces are words.
        decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
        model: {
          type: 'WordPiece',
          unk_token: '<unk>',
          continuing_subword_prefix: '##',
          max_input_chars_per_word: 100,
          vocab: Object.fromEntries(this.#ids),
        },
      }),
      config: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', clean_up_tokenization_spaces: false },
    };
  }
}

const entropy = (probabilities: readonly number[]): number =>
  probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);

/** Index of the item into whose share of [0, 1) the draw falls. */
function pick<T>(items: readonly T[], weight: (item: T) => number, draw: number): number {
  let sum = 0;
  for (let i = 0; i < items.length - 1; i++) {
    sum += weight(items[i]!);
    if (draw < sum) {
      return i;
    }
  }
  return items.length - 1;
}
