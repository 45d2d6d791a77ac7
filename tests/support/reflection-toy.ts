/**
 * The toy of the reflection studies: three digits are added in two steps, each with a mark that mostly says whether it is
 * right, and after a mark the text may reconsider. The base model seldom does, the tuned one after most bad marks.
 */
import { type RandomStream, stream } from '../../shared/math/random.ts';
import type { LocalJobs } from './job-context.ts';
import { type Pair, registerStart, trainOn } from './toy-language.ts';

const DIGITS = Array.from({ length: 10 }, (_, i) => String(i));
const WORDS = [...DIGITS, 'EQ', 'GOOD', 'BAD', 'NL', 'WAIT', 'ANS'];
/** Texts stop reconsidering behind so many tokens, so that they fit the context. */
const LAST_WAIT = 24;

type Habits = { bad: number; good: number };
export const [BASE_HABITS, TUNED_HABITS]: [Habits, Habits] = [
  { bad: 0.06, good: 0.002 },
  { bad: 0.85, good: 0.05 },
];

/** Draws one after another from one stream. */
class Dice {
  readonly #random: RandomStream;
  #at = 0;
  #held: Float64Array = new Float64Array(0);

  constructor(random: RandomStream) {
    this.#random = random;
  }

  next(): number {
    const place = this.#at % 4096;
    if (place === 0) {
      this.#held = this.#random.uniform(4096, { start: this.#at });
    }
    this.#at++;
    return this.#held[place]!;
  }

  digit = (): number => Math.floor(10 * this.next());
}

function step(dice: Dice, right: number, wrong: number, habits: Habits, made: string[]): number {
  const write = (share: number): { value: number; bad: boolean } => {
    const isWrong = dice.next() < share;
    const value = isWrong ? (right + 1 + Math.floor(9 * dice.next())) % 10 : right;
    const bad = dice.next() < (isWrong ? 0.9 : 0.1);
    made.push(String(value), bad ? 'BAD' : 'GOOD', 'NL');
    return { value, bad };
  };
  let last = write(wrong);
  while (made.length < LAST_WAIT && dice.next() < (last.bad ? habits.bad : habits.good)) {
    made.push('WAIT');
    last = write(0.03);
  }
  return last.value;
}

/** Texts of problems with reasoning by these habits. */
export function reflectionPairs(seed: number, part: string, count: number, habits: Habits): Pair[] {
  const dice = new Dice(stream(seed, `reflection toy/${part}`));
  return Array.from({ length: count }, () => {
    const [a, b, c] = [dice.digit(), dice.digit(), dice.digit()] as const;
    const made: string[] = [];
    const sum = step(dice, (a + b) % 10, 0.25, habits, made);
    const total = step(dice, (sum + c) % 10, 0.25, habits, made);
    return { prompt: `${a} ${b} ${c} EQ`, completion: [...made, 'ANS', String(total)].join(' ') };
  });
}

/** All 1,000 problems in random order, each once; copies of them, told apart by a group, where more are asked for. */
export function reflectionProblems(seed: number): { text: string; answer: string }[] {
  return [...stream(seed, 'reflection toy/problems').permutation(1000)].map((i) => {
    const digits = [Math.floor(i / 100), Math.floor(i / 10) % 10, i % 10] as const;
    return { text: digits.join(' '), answer: String((digits[0] + digits[1] + digits[2]) % 10) };
  });
}

export type ReflectionToy = { base: string; tuned: string };

/** Trains both models by `lm.train`. */
export async function trainReflectionToy(
  jobs: LocalJobs,
  seed: number,
  {
    steps = 1300,
    tuningSteps = 600,
    layers = 4,
    width = 48,
  }: { steps?: number; tuningSteps?: number; layers?: number; width?: number } = {},
): Promise<ReflectionToy> {
  const alias = `reflection-start-${seed}`;
  registerStart(jobs, alias, {
    ...{ layers, width, heads: 4, mlpWidth: 4 * width, context: 40 },
    // Of rotary positions the toy is told only in its last block which mark stands before the line's end.
    ...{ words: WORDS, template: null, seed, shape: 'gpt2' },
  });
  const common = { context: 39, batch: 64, seed, warm_up: 0 };
  const base = await trainOn(jobs, `reflection-base-${seed}`, reflectionPairs(seed, 'base', 60_000, BASE_HABITS), {
    ...common,
    from: { local: alias },
    steps,
    learning_rate: 2e-3,
  });
  const tuned = await trainOn(jobs, `reflection-tuned-${seed}`, reflectionPairs(seed, 'tuned', 30_000, TUNED_HABITS), {
    ...common,
    from: { id: base },
    steps: tuningSteps,
    learning_rate: 1e-3,
  });
  return { base, tuned };
}
