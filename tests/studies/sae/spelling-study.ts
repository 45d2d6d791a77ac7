/**
 * Absorption of first letters on the larger story model. Its vocabulary has 61 words of one token, so words of several are
 * read at their last: what the activations there say of the first letter, the model has carried over from earlier tokens.
 */
import { loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { f1Of, trainProbe } from '../../../gpu-worker/sae/probes/linear-probe.ts';
import { spelledActivations, spellingWords } from '../../../gpu-worker/sae/probes/spelling.ts';
import { data } from '../../support/guide.ts';
import type { LocalJobs } from '../../support/job-context.ts';
import { type Cell, cell } from './sweep-table.ts';
import { type Subject, trainAndEvaluate } from './trained.ts';

type Rates = { full: number; fraction: number };
type Absorption = {
  words: number;
  fixed: Rates;
  original: Rates;
  letters: { letter: string; words: number; probe_f1: number; fixed: { f1: number }; original: { f1: number } }[];
  left_out: { letter: string; reason: string }[];
};
export type SpellingLine = {
  variant: string;
  form: 'fixed' | 'original';
  nmse: Cell;
  full: Cell;
  fraction: Cell;
  /** Of a probe on the latents that stand for the letter, weighted by words. */
  f1: Cell;
};
export type SpellingResult = {
  hook: string;
  words: number;
  scored: { letters: number; words: number };
  left_out: number;
  /** F1 of the dense probe on held-out words, and of always answering yes; weighted by words. */
  dense: number;
  chance: number;
  lines: SpellingLine[];
  probes: ProbeLine[];
};
/** F1 of dense probes for the first letter on held-out words after each layer, mean over the letters by their words. */
export type ProbeLine = { model: string; f1: number[] };

const VARIANTS = ['abstopk', 'topk'];
/** Most tokens of a word. */
const LONGEST = 8;
/** Words spelled before each. */
const EXAMPLES = 10;

/** Words that occur at least `least` times, in lower case. */
export function wordsOf(texts: readonly string[], least: number): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.matchAll(/\b[a-z]{2,}\b/g)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return [...counts].filter(([, count]) => count >= least).map(([word]) => word);
}

export async function spellingStudy(
  jobs: LocalJobs,
  subject: Subject,
  settings: { seeds: readonly number[]; steps: number; batch: number; expansion: number; k: number; words: string[] },
): Promise<SpellingResult> {
  const { seeds, expansion, k, words } = settings;
  const { evaluated } = await trainAndEvaluate<{ variant: string; nmse: number; absorption: Absorption }>(
    jobs,
    subject,
    settings,
    VARIANTS.flatMap((variant) => seeds.map((seed) => ({ variant, width: expansion * subject.width, k, seed }))),
    { tokens: 8192, loss_sequences: 0, spelling: { words, longest: LONGEST } },
  );
  // Probes on the activations do not depend on the autoencoder.
  const { letters, left_out, words: total } = evaluated[0]!.absorption;
  const scored = letters.reduce((sum, letter) => sum + letter.words, 0);
  const weighted = (value: (letter: (typeof letters)[number]) => number) =>
    letters.reduce((sum, letter) => sum + (letter.words / scored) * value(letter), 0);
  const shareOf = (letter: string) => words.filter((word) => word[0] === letter).length / words.length;
  return {
    hook: subject.hook,
    words: total,
    scored: { letters: letters.length, words: scored },
    left_out: left_out.length,
    dense: weighted(({ probe_f1 }) => probe_f1),
    chance: weighted(({ letter }) => (2 * shareOf(letter)) / (1 + shareOf(letter))),
    lines: VARIANTS.flatMap((variant) =>
      (['fixed', 'original'] as const).map((form): SpellingLine => {
        const own = evaluated.filter((sae) => sae.variant === variant);
        const of = (value: (sae: (typeof own)[number]) => number) => cell(own.map(value));
        const f1 = ({ absorption }: (typeof own)[number]) =>
          absorption.letters.reduce((sum, letter) => sum + (letter.words / scored) * letter[form].f1, 0);
        return {
          variant,
          form,
          nmse: of(({ nmse }) => nmse),
          full: of(({ absorption }) => absorption[form].full),
          fraction: of(({ absorption }) => absorption[form].fraction),
          f1: of(f1),
        };
      }),
    ),
    probes: [await probesOf('stories260K-hf', words), await probesOf('bitstories3M-hf', words)],
  };
}

/** How well each layer of a model tells first letters, by the prompts and the split of `sae.evaluate`. */
async function probesOf(name: string, words: readonly string[]): Promise<ProbeLine> {
  const model = await loadModel(data('models', name), { threads: 1 });
  const tokenizer = model.tokenizer!;
  const vocabulary = spellingWords(tokenizer, words, LONGEST);
  const f1: number[] = [];
  for (let layer = 0; layer < model.architecture.layers; layer++) {
    const hook = `resid_post.${layer}`;
    const options = { seed: 0, examples: EXAMPLES };
    const { x, letters, split } = await spelledActivations(model, hook, tokenizer, vocabulary, options);
    const rows = Float64Array.from(x);
    let sum = 0;
    for (const letter of new Set(letters)) {
      const y = letters.map((own) => (own === letter ? 1 : 0));
      const held = split.test.filter((row) => y[row] === 1).length;
      const learned = split.train.some((row) => y[row] === 1);
      if (held > 0 && learned) {
        sum += (held / split.test.length) * f1Of(trainProbe(rows, x.length / y.length, y, split.train), y, split.test);
      }
    }
    f1.push(sum);
  }
  await model.release();
  return { model: name, f1 };
}

const show = ({ mean, deviation }: Cell, digits = 3): string =>
  `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;

export function spellingMarkdown({ words, scored, left_out, dense, chance, lines, probes }: SpellingResult): string {
  /** Half of the 95 % interval of a share of the scored words, by the normal approximation. */
  const half = (share: number): string => (1.96 * Math.sqrt((share * (1 - share)) / scored.words)).toFixed(3);
  return [
    `${words} words of the stories, of up to ${LONGEST} tokens, four fifths to learn from. A dense probe on the activations at the last`,
    `token tells the first letter of held-out words with F1 ${dense.toFixed(2)} (always yes: ${chance.toFixed(2)}), mean over ${scored.letters} letters with`,
    `${scored.words} held-out words that it gets right; ${left_out} letters have too few words or an F1 below 0.5. "Full": one other latent stands in for`,
    'those of the letter, which are all silent; "share": of the letter that up to three other latents carry; "latents, F1": of',
    'a probe on the latents that stand for the letter. The interval of "full" is of 95 % over words.\n',
    '| code | form | nMSE | full | interval | share | latents, F1 |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...lines.map(
      ({ variant, form, nmse, full, fraction, f1 }) =>
        `| ${variant} | ${form} | ${show(nmse)} | ${show(full)} | ± ${half(full.mean)} | ${show(fraction)} | ${show(f1)} |`,
    ),
    '\nF1 of dense probes for the first letter after each layer, on the same words, mean over all letters by their words:\n',
    `| model | ${probes
      .at(-1)!
      .f1.map((_, layer) => layer)
      .join(' | ')} |`,
    `| --- | ${probes
      .at(-1)!
      .f1.map(() => '---')
      .join(' | ')} |`,
    ...probes.map(
      ({ model, f1 }) =>
        `| ${model} | ${probes
          .at(-1)!
          .f1.map((_, layer) => f1[layer]?.toFixed(2) ?? '')
          .join(' | ')} |`,
    ),
  ].join('\n');
}
