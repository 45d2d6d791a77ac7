/**
 * Absorption on first letters (Chanin et al. 2024, by SAEBench's definitions, Karvonen et al. 2025): the latents that
 * stand for a letter stay silent on some words with that letter, because a latent of the word itself carries the letter.
 * Two forms: `original` reads codes as if they were never negative; `fixed` is safe for signed codes (AbsTopK, section 8:
 * |z| for silence, |weight| for the ranking, sign(z) D as the direction of an absorber) and unchanged by flips of signs.
 */

import { denseCodes, type SparseCodes } from '../codes/sparse-codes.ts';
import { largest } from '../codes/variants.ts';
import { columns, f1Of, trainProbe } from './linear-probe.ts';
import type { Split } from './probing.ts';
import { sparseLogistic } from './sparse-logistic.ts';

/** One row per word: activations at its token [words, inputs], codes, and its first letter. */
export type SpelledWords = { inputs: number; width: number; x: Float64Array; codes: SparseCodes; letters: string[] };

type Form = 'fixed' | 'original';
type LetterForm = {
  /** The latents that stand for the letter, and the F1 of a probe on them. */
  main: number[];
  f1: number;
  /** Share of the words on which a single other latent stands in for all of them. */
  full: number;
  /** Mean share of the letter that up to three other latents carry. */
  fraction: number;
};
type LetterAbsorption = { letter: string; words: number; probe_f1: number } & Record<Form, LetterForm>;
export type Absorption = {
  /** Means over the letters, weighted by their words; null where no letter can be scored. */
  fixed: { full: number; fraction: number } | null;
  original: { full: number; fraction: number } | null;
  letters: LetterAbsorption[];
  left_out: { letter: string; reason: string }[];
};

/** SAEBench's settings. */
const L1 = 0.01;
const MOST_MAIN = 10;
const LEAST_RISE = 0.03;
const LEAST_COSINE = { full: 0.025, fraction: 0.1 };
const LEAST_SHARE = 0.4;
const MOST_ABSORBERS = 3;
const SILENT = 1e-8;
/** Below this F1 of the dense probe on held-out words the activations do not spell the letter: nothing can be absorbed. */
const LEAST_PROBE_F1 = 0.5;
/** Fewer words than this, in either part of the split, say nothing. */
const LEAST_TRAIN = 10;
const LEAST_TEST = 3;

const FORMS: readonly Form[] = ['fixed', 'original'];

/** Absorption of every letter; letters that cannot be scored are listed with the reason. */
export function absorption(words: SpelledWords, decoder: Float32Array, { train, test }: Split): Absorption {
  const { inputs, width, x, codes } = words;
  const z = Float64Array.from(denseCodes(codes, width));
  const letters: LetterAbsorption[] = [];
  const left_out: Absorption['left_out'] = [];
  for (const letter of [...new Set(words.letters)].sort()) {
    const y = words.letters.map((own) => (own === letter ? 1 : 0));
    const members = (rows: readonly number[]) => rows.filter((row) => y[row] === 1);
    const held = members(test);
    if (members(train).length < LEAST_TRAIN || held.length < LEAST_TEST) {
      left_out.push({ letter, reason: `${members(train).length} words to learn from and ${held.length} held out` });
      continue;
    }
    const probe = trainProbe(x, inputs, y, train);
    const probe_f1 = f1Of(probe, y, test);
    const right = probe.predict(held);
    const known = held.filter((_, i) => right[i]);
    if (probe_f1 < LEAST_PROBE_F1) {
      const reason = `the activations do not spell it: F1 ${probe_f1.toFixed(2)} of a dense probe on held-out words`;
      left_out.push({ letter, reason });
      continue;
    }
    const weights = sparseLogistic(codes, width, y, train, L1);
    if (!weights) {
      left_out.push({ letter, reason: 'the sparse probe for it did not converge' });
      continue;
    }
    const direction = unit(probe.weights);
    const aligned = projections(decoder, direction);
    const scored = (form: Form): LetterForm => {
      const { main, f1 } = mainLatents(z, width, form === 'fixed' ? weights.map(Math.abs) : weights, y, {
        train,
        test,
      });
      const results = known.map((row) => {
        const activation = direction.reduce((sum, value, j) => sum + value * x[row * inputs + j]!, 0);
        return absorbed(z.subarray(row * width, (row + 1) * width), activation, aligned, new Set(main), form);
      });
      const mean = (value: (word: Absorbed) => number) =>
        results.reduce((sum, word) => sum + value(word), 0) / results.length;
      return { main, f1, full: mean(({ full }) => (full ? 1 : 0)), fraction: mean(({ fraction }) => fraction) };
    };
    letters.push({ letter, words: known.length, probe_f1, fixed: scored('fixed'), original: scored('original') });
  }
  const total = letters.reduce((sum, { words: count }) => sum + count, 0);
  const overall = (form: Form, name: 'full' | 'fraction') =>
    letters.reduce((sum, letter) => sum + (letter.words / total) * letter[form][name], 0);
  const [fixed, original] = FORMS.map((form) =>
    total === 0 ? null : { full: overall(form, 'full'), fraction: overall(form, 'fraction') },
  );
  return { fixed: fixed!, original: original!, letters, left_out };
}

function unit(values: Float64Array): Float64Array {
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return values.map((value) => value / norm);
}

type Aligned = { along: Float64Array; cosine: Float64Array };

/** <D_i, direction>, and the cosine between them. */
function projections(decoder: Float32Array, direction: Float64Array): Aligned {
  const inputs = direction.length;
  const width = decoder.length / inputs;
  const [along, cosine] = [new Float64Array(width), new Float64Array(width)];
  for (let i = 0; i < width; i++) {
    let square = 0;
    for (let j = 0; j < inputs; j++) {
      const value = decoder[i * inputs + j]!;
      along[i]! += value * direction[j]!;
      square += value * value;
    }
    cosine[i] = square > 0 ? along[i]! / Math.sqrt(square) : 0;
  }
  return { along, cosine };
}

/** The first latents by score, each taken while it raises the F1 of a probe on them by enough. */
function mainLatents(
  z: Float64Array,
  width: number,
  scores: Float64Array,
  y: readonly number[],
  { train, test }: Split,
): { main: number[]; f1: number } {
  const ranked = largest(scores, Math.min(MOST_MAIN, width));
  const f1 = (count: number): number => {
    const chosen = ranked.slice(0, count);
    return f1Of(trainProbe(columns(z, width, chosen), count, y, train), y, test);
  };
  let count = 1;
  let best = f1(1);
  while (count < ranked.length) {
    const next = f1(count + 1);
    if (next < best + LEAST_RISE) {
      break;
    }
    best = next;
    count += 1;
  }
  return { main: ranked.slice(0, count), f1: best };
}

type Absorbed = { full: boolean; fraction: number };

/**
 * One word that the dense probe gets right.
 * @param activation projection of the word's activation on the probe's direction
 */
function absorbed(
  z: Float64Array,
  activation: number,
  { along, cosine }: Aligned,
  main: ReadonlySet<number>,
  form: Form,
): Absorbed {
  const carried = z.map((code, i) => code * along[i]!);
  // The cosine of the direction in which the latent fires: sign(z) D in the fixed form, D in the original.
  const facing = (i: number): number => (form === 'fixed' && z[i]! < 0 ? -1 : 1) * cosine[i]!;
  const silent = [...main].every((i) => (form === 'fixed' ? Math.abs(z[i]!) : z[i]!) < SILENT);
  const [top] = largest(carried, 1);
  const full =
    silent && activation > 0 && facing(top!) >= LEAST_COSINE.full && carried[top!]! / activation >= LEAST_SHARE;

  const own = [...main].reduce((sum, i) => sum + carried[i]!, 0);
  const others = [...carried.keys()]
    .filter((i) => !main.has(i) && carried[i]! > 0 && facing(i) >= LEAST_COSINE.fraction)
    .map((i) => carried[i]!)
    .sort((a, b) => b - a)
    .slice(0, MOST_ABSORBERS)
    .reduce((sum, value) => sum + value, 0);
  let fraction = 0;
  if (own < activation && others / activation >= LEAST_SHARE) {
    const taken = Math.min(others, activation - own);
    fraction = own <= 0 ? 1 : taken / (taken + own);
  }
  return { full, fraction };
}
