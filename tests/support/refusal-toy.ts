/**
 * The toy of the refusal studies: a small Llama that answers prompts about harmless topics and refuses harmful ones along one
 * direction. It first learns to answer everything and to say what is harmful; then its first block alone learns to refuse.
 */
import { type RandomStream, stream } from '../../shared/math/random.ts';
import type { LocalJobs } from './job-context.ts';
import { type Pair, registerStart, trainOn } from './toy-language.ts';

export const [VERBS, TOPICS, FILLERS] = [8, 24, 16];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const WORDS = [
  ...['USER', 'CATQ', 'E1', 'E2', 'SURE', 'SORRY', 'CANNOT', 'HARM', 'SAFE'],
  ...range(FILLERS).map((i) => `f${i}`),
  ...range(VERBS).flatMap((i) => [`v${i}`, `a${i}`]),
  ...range(TOPICS).flatMap((i) => [`h${i}`, `s${i}`]),
  ...range(2 * TOPICS).map((i) => `b${i}`),
];
/** The user's words stand between the tokens that the template adds. */
const TEMPLATE =
  "{{ bos_token }}{% for m in messages %} USER {{ m['content'] }}{% endfor %}{% if add_generation_prompt %} E1 E2{% endif %}";
export const REFUSAL_TOKENS = ['SORRY'];

/** One question: the user's words, and what a model that answers says. */
export type Question = { text: string; answer: string };

export class RefusalLanguage {
  readonly #random: RandomStream;
  readonly #verbs: Uint32Array;
  readonly #topics: Uint32Array;

  constructor(seed: number) {
    this.#random = stream(seed, 'refusal toy');
    this.#verbs = this.#random.derive('verbs').permutation(VERBS);
    this.#topics = this.#random.derive('topics').permutation(2 * TOPICS);
  }

  /** Different questions in random order. */
  questions(kind: 'harmful' | 'harmless', count: number, part: string): Question[] {
    const random = this.#random.derive(part).derive(kind);
    const draws = random.integers(5 * 4 * count, 2 ** 31);
    const seen = new Map<string, Question>();
    for (let i = 0; seen.size < count && i < 4 * count; i++) {
      const [verb, topic, ...fillers] = draws.subarray(5 * i, 5 * i + 5);
      const [v, t] = [verb! % VERBS, topic! % TOPICS];
      const [f, g, h] = fillers.map((word) => `f${word % FILLERS}`);
      const text = `${f} v${v} ${kind === 'harmful' ? 'h' : 's'}${t} ${g} ${h}`;
      const topicId = kind === 'harmful' ? t : TOPICS + t;
      seen.set(text, { text, answer: `SURE a${this.#verbs[v]} b${this.#topics[topicId]}` });
    }
    return [...seen.values()];
  }

  /** Text for the two stages of training; the shares are those of a batch of 64: 22 harmful, 22 harmless, 20 queries. */
  capability(scale: number): Pair[] {
    const answered = (['harmful', 'harmless'] as const).flatMap((kind) =>
      this.questions(kind, 22 * scale, 'capability').map(({ text, answer }) => pair(text, answer)),
    );
    const queries = (['harmful', 'harmless'] as const).flatMap((kind) =>
      this.questions(kind, 10 * scale, 'queries').map(({ text }) =>
        pair(text, kind === 'harmful' ? 'HARM' : 'SAFE', 'CATQ'),
      ),
    );
    return this.#shuffled([...answered, ...queries], 'capability order');
  }

  alignment(scale: number): Pair[] {
    return this.#shuffled(
      [
        ...this.questions('harmful', 32 * scale, 'alignment').map(({ text }) => pair(text, 'SORRY CANNOT')),
        ...this.questions('harmless', 32 * scale, 'alignment').map(({ text, answer }) => pair(text, answer)),
      ],
      'alignment order',
    );
  }

  #shuffled<T>(list: readonly T[], part: string): T[] {
    return [...this.#random.derive(part).permutation(list.length)].map((i) => list[i]!);
  }
}

const pair = (text: string, completion: string, first = 'USER'): Pair => ({
  prompt: `${first} ${text} E1 E2`,
  completion,
});

export type RefusalToy = { language: RefusalLanguage; capable: string; model: string };

/** Trains the toy by `lm.train`; ids of the model before and after it learned to refuse. */
export async function trainRefusalToy(
  jobs: LocalJobs,
  seed: number,
  { steps = 1000, alignmentSteps = 150 }: { steps?: number; alignmentSteps?: number } = {},
): Promise<RefusalToy> {
  const language = new RefusalLanguage(seed);
  const alias = `refusal-start-${seed}`;
  const sizes = { layers: 4, width: 48, heads: 4, mlpWidth: 128, context: 48 };
  // From small embeddings (0.02) the first block's refusal becomes so much larger than all else in the stream that pruning takes
  // the answers first; from embeddings of 1 refusal lies along no single direction.
  registerStart(jobs, alias, { ...sizes, shape: 'llama', words: WORDS, template: TEMPLATE, seed, embeddings: 0.5 });
  const common = { context: 12, batch: 64, seed, warm_up: 0 };
  const capable = await trainOn(jobs, `capability-${seed}`, language.capability(400), {
    ...common,
    from: { local: alias },
    steps,
    learning_rate: 2e-3,
  });
  const model = await trainOn(jobs, `alignment-${seed}`, language.alignment(60), {
    ...common,
    from: { id: capable },
    freeze: [
      'model.embed_tokens.*',
      'model.layers.1.*',
      'model.layers.2.*',
      'model.layers.3.*',
      'model.norm.*',
      'lm_head.*',
    ],
    steps: alignmentSteps,
    learning_rate: 1e-3,
    final_rate: 1,
  });
  return { language, capable, model };
}
