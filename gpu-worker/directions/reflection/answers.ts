/** Answers of a model to problems, and what is measured of them. */
import type { GenerationIntervention, LanguageModel } from '../../lm/index.ts';
import { generateInBatches } from '../../lm/index.ts';
import { givenAnswer, sameAnswer } from './grading.ts';

export type Problem = { ids: readonly number[]; answer: string };
export type Answer = {
  tokens: readonly number[];
  text: string;
  /** The tokens ran out before the model ended. */
  truncated: boolean;
};
export type Decoding = {
  maxTokens: number;
  temperature: number;
  topP: number | null;
  seed: number;
  stopTokens?: readonly number[];
};

/** Rows that are generated together. */
const ROWS = 64;

export async function answersOf(
  model: LanguageModel,
  prompts: readonly (readonly number[])[],
  { maxTokens, temperature, topP, seed, stopTokens }: Decoding,
  interventions: readonly GenerationIntervention[] = [],
): Promise<Answer[]> {
  const options = {
    maxTokens,
    temperature,
    seed,
    interventions,
    ...(topP !== null && { topP }),
    ...(stopTokens && { stopTokens }),
  };
  const made = await generateInBatches(model, prompts, options, { rows: ROWS });
  return made.map(({ tokens, text, finish }) => ({ tokens, text, truncated: finish === 'length' }));
}

/**
 * Where the model would end its reasoning it is made to go on with the trigger instead, so many times.
 * @param end token that ends the reasoning
 */
export async function forcedAnswers(
  model: LanguageModel,
  prompts: readonly (readonly number[])[],
  decoding: Decoding,
  { end, trigger, rounds }: { end: number; trigger: number; rounds: number },
): Promise<Answer[]> {
  const so_far: number[][] = prompts.map(() => []);
  // Of a context that is full no more comes: such an answer stands as it is, cut.
  const hasRoom = (row: number) => prompts[row]!.length + so_far[row]!.length < model.architecture.context;
  const open = new Set(prompts.keys());
  for (let round = 0; round < rounds && open.size > 0; round++) {
    const rows = [...open].filter((row) => so_far[row]!.length < decoding.maxTokens && hasRoom(row));
    const parts = await answersOf(
      model,
      rows.map((row) => [...prompts[row]!, ...so_far[row]!]),
      { ...decoding, seed: decoding.seed + round, stopTokens: [end] },
    );
    for (const [i, row] of rows.entries()) {
      const { tokens } = parts[i]!;
      const ended = tokens.at(-1) === end;
      so_far[row] = [...so_far[row]!, ...(ended ? [...tokens.slice(0, -1), trigger] : tokens)].slice(
        0,
        decoding.maxTokens,
      );
      if (!ended) {
        open.delete(row);
      }
    }
  }
  const unfinished = [...prompts.keys()].filter(hasRoom);
  const last = await answersOf(
    model,
    unfinished.map((row) => [...prompts[row]!, ...so_far[row]!]),
    { ...decoding, seed: decoding.seed + rounds },
  );
  const endings = new Map(unfinished.map((row, i) => [row, last[i]!]));
  return so_far.map((begun, row) => {
    const ending = endings.get(row);
    const whole = [...begun, ...(ending?.tokens ?? [])];
    const all = whole.slice(0, decoding.maxTokens);
    return {
      tokens: all,
      text: model.tokenizer?.decode(all) ?? '',
      truncated: (ending?.truncated ?? true) || whole.length > all.length,
    };
  });
}

export type Measuring = {
  /** Looked for in the text without regard to case. */
  keywords: readonly string[];
  /** Stands before the answer; null for the last box or number. */
  marker: string | null;
};

/** One number per answer. */
export type Measured = {
  right: Float64Array;
  length: Float64Array;
  reflects: Float64Array;
  occurrences: Float64Array;
  repeats: Float64Array;
  truncated: Float64Array;
  /** No answer could be read. */
  unparsed: Float64Array;
};

/** Tokens that make a run which a loop is recognised by. */
const RUN = 4;

const occurrencesOf = (text: string, keywords: readonly string[]): number => {
  const within = text.toLowerCase();
  return keywords.reduce((sum, keyword) => sum + within.split(keyword.toLowerCase()).length - 1, 0);
};

/** Share of runs of four tokens that occurred before in the answer. */
function repetition(tokens: readonly number[]): number {
  const runs = Array.from({ length: Math.max(0, tokens.length - RUN + 1) }, (_, i) =>
    tokens.slice(i, i + RUN).join(' '),
  );
  return runs.length === 0 ? 0 : 1 - new Set(runs).size / runs.length;
}

/** A truncated answer is wrong, whatever number stands last in it. */
export function measureAnswers(
  answers: readonly Answer[],
  problems: readonly Pick<Problem, 'answer'>[],
  { keywords, marker }: Measuring,
): Measured {
  const given = answers.map(({ text, truncated }) => (truncated ? null : givenAnswer(text, marker)));
  const counts = answers.map(({ text }) => occurrencesOf(text, keywords));
  return {
    right: Float64Array.from(given, (answer, i) => Number(answer !== null && sameAnswer(answer, problems[i]!.answer))),
    length: Float64Array.from(answers, ({ tokens }) => tokens.length),
    reflects: Float64Array.from(counts, (count) => Number(count > 0)),
    occurrences: Float64Array.from(counts),
    repeats: Float64Array.from(answers, ({ tokens }) => repetition(tokens)),
    truncated: Float64Array.from(answers, ({ truncated }) => Number(truncated)),
    unparsed: Float64Array.from(given, (answer) => Number(answer === null)),
  };
}
