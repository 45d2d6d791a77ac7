/** Written pairs as token ids of a model, or what keeps them from being compared position by position. */
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import type { LanguageModel, Tokenizer } from '../../lm/index.ts';
import type { Pair, WrittenPair } from './pair.ts';

const EXAMPLES = 3;

type Fault = { pair: number; text: string };
/** What is wrong with some of the pairs: how many, and the first of them. */
function refuse(faults: readonly Fault[], of: number, what: string): void {
  if (faults.length > 0) {
    const shown = faults.slice(0, EXAMPLES).map(({ pair, text }) => `pair ${pair}: ${text}`);
    const more = faults.length > shown.length ? '; ...' : '';
    throw paramError('data_invalid', '/task', `${faults.length} of ${of} pairs ${what}: ${shown.join('; ')}${more}`);
  }
}

/**
 * @param bos whether prompts begin with the beginning-of-sequence token; null: as the tokenizer does by itself
 * @throws SextantError `data_invalid`: pairs of unequal length, answers of several tokens, equal answers, positions outside
 *   the prompt; each with their number and examples. `context_exceeded`
 */
export function encodePairs(model: LanguageModel, written: readonly WrittenPair[], bos: boolean | null): Pair[] {
  const { architecture: a } = model;
  const begin = bos === null ? null : { token: model.tokenizer?.bos ?? null, wanted: bos };
  if (begin?.wanted && begin.token === null) {
    throw paramError('data_invalid', '/bos', 'the model has no beginning-of-sequence token');
  }
  const prompt = (text: string | readonly number[]): { ids: number[]; first: number } => {
    const plain = typeof text === 'string' ? tokenizerOf(model).encode(text) : [...text];
    const has = typeof text === 'string' && plain[0] === tokenizerOf(model).bos && plain.length > 0;
    const bare = has ? plain.slice(1) : plain;
    const ids = begin === null ? plain : begin.wanted ? [begin.token!, ...bare] : bare;
    return { ids, first: ids.length - bare.length };
  };
  const several: Fault[] = [];
  const unequal: Fault[] = [];
  const outside: Fault[] = [];
  const equal: Fault[] = [];
  const unknown: Fault[] = [];
  const pairs = written.map((pair, i): Pair => {
    const [clean, corrupted] = [prompt(pair.clean), prompt(pair.corrupted)];
    if (clean.ids.length !== corrupted.ids.length) {
      unequal.push({
        pair: i,
        text: `${shown(pair.clean)} is ${clean.ids.length} tokens, ${shown(pair.corrupted)} ${corrupted.ids.length}`,
      });
    }
    if (clean.ids.length > a.context) {
      throw new SextantError(
        'context_exceeded',
        `pair ${i} has ${clean.ids.length} tokens; the model reads ${a.context}`,
      );
    }
    const tokens = (answers: readonly (string | number)[]) =>
      answers.flatMap((answer) => {
        const ids = typeof answer === 'number' ? [answer] : answerTokens(model, pair.clean, answer);
        if (ids.length !== 1) {
          several.push({ pair: i, text: `'${answer}' is ${ids.length} tokens` });
        }
        return ids;
      });
    const [answer, other] = [tokens(pair.answer), tokens(pair.other)];
    const foreign = [...answer, ...other, ...clean.ids, ...corrupted.ids].find((id) => id >= a.vocabulary);
    if (foreign !== undefined) {
      unknown.push({ pair: i, text: `token ${foreign}` });
    }
    if (answer.some((token) => other.includes(token))) {
      equal.push({ pair: i, text: `token ${answer.find((token) => other.includes(token))}` });
    }
    const positions = Object.fromEntries(
      Object.entries(pair.positions).map(([name, at]) => [name, at < 0 ? clean.ids.length + at : clean.first + at]),
    );
    for (const [name, at] of Object.entries(positions)) {
      if (at < 0 || at >= clean.ids.length) {
        outside.push({ pair: i, text: `${name} at ${pair.positions[name]} of ${clean.ids.length} tokens` });
      }
    }
    return { clean: clean.ids, corrupted: corrupted.ids, answer, other, template: pair.template, positions };
  });
  const of = pairs.length;
  refuse(several, of, 'have an answer that is not one token of this model');
  refuse(unknown, of, `have tokens beyond the model's ${a.vocabulary}`);
  refuse(unequal, of, 'are of unequal length, so their positions do not belong together');
  refuse(equal, of, 'have one token as answer and as other');
  refuse(outside, of, 'name a position outside their prompt');
  return pairs;
}

function tokenizerOf({ tokenizer }: LanguageModel): Tokenizer {
  if (!tokenizer) {
    throw paramError('data_invalid', '/task', 'the model has no tokenizer: write the task in token ids');
  }
  return tokenizer;
}

/** Tokens of an answer: one that begins with a space as it stands behind its prompt, others by themselves. */
function answerTokens(model: LanguageModel, prompt: string | readonly number[], answer: string): number[] {
  const tokenizer = tokenizerOf(model);
  const alone = tokenizer.encode(answer, { special: false });
  if (alone.length === 1 || !answer.startsWith(' ') || typeof prompt !== 'string') {
    return alone;
  }
  const [before, whole] = [tokenizer.encode(prompt), tokenizer.encode(prompt + answer)];
  const after = whole.slice(before.length);
  return before.every((id, i) => whole[i] === id) && after.length === 1 ? after : alone;
}

const shown = (prompt: string | readonly number[]): string =>
  typeof prompt === 'string'
    ? `'${prompt.length > 60 ? `${prompt.slice(0, 57)}...` : prompt}'`
    : `[${prompt.slice(0, 12)}]`;
