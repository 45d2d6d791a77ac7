import { describe, expect, it } from 'vitest';
import { absorption, type SpelledWords } from '../../../../gpu-worker/sae/probes/absorption.ts';
import { sparseLogistic } from '../../../../gpu-worker/sae/probes/sparse-logistic.ts';
import { stream } from '../../../../shared/math/random.ts';

const SEED = Number(process.env.SEED ?? 3);
// Of three letters, "none of the other two" would say as much as the letter's own latent.
const LETTERS = ['a', 'b', 'c', 'd', 'e', 'f'];
const PER_LETTER = 60;
const words = LETTERS.length * PER_LETTER;
/** Coordinates: the letters, then one for each word that may have a latent of its own. */
const inputs = LETTERS.length + PER_LETTER / 4;
const width = inputs;
const split = {
  train: Array.from({ length: words }, (_, i) => i).filter((i) => Math.floor(i / LETTERS.length) % 5 !== 0),
  test: Array.from({ length: words }, (_, i) => i).filter((i) => Math.floor(i / LETTERS.length) % 5 === 0),
};
const CHILD_LETTER = 1.5;

/**
 * Word i has letter i mod 6 and shows it as 2 in the letter's coordinate. With `absorbing`, every fourth word of letter
 * a has a latent of its own, whose row holds the letter too, and the letter's latent is silent there. Codes reconstruct x
 * exactly. `flips` are the latents whose codes and rows change sign.
 */
function planted(absorbing: boolean, flips: ReadonlySet<number> = new Set()) {
  const noise = stream(SEED, 'absorption').normal(words, { deviation: 0.05 });
  const sign = (latent: number) => (flips.has(latent) ? -1 : 1);
  const decoder = new Float32Array(width * inputs);
  for (let i = 0; i < width; i++) {
    decoder[i * inputs + i] = sign(i);
    if (absorbing && i >= LETTERS.length) {
      decoder[i * inputs] = sign(i) * CHILD_LETTER;
    }
  }
  const x = new Float64Array(words * inputs);
  const latents: number[] = [];
  const values: number[] = [];
  const starts = Int32Array.from({ length: words + 1 });
  let children = 0;
  for (let i = 0; i < words; i++) {
    const letter = i % LETTERS.length;
    const code = 2 + noise[i]!;
    const number = Math.floor(i / LETTERS.length);
    const special = letter === 0 && number % 4 === 0;
    const add = (latent: number, size: number) => {
      latents.push(latent);
      values.push(sign(latent) * size);
      for (let j = 0; j < inputs; j++) {
        x[i * inputs + j]! += sign(latent) * size * decoder[latent * inputs + j]!;
      }
    };
    const child = LETTERS.length + children;
    if (special) {
      children += 1;
    }
    if (special && absorbing) {
      add(child, code / CHILD_LETTER);
    } else {
      add(letter, code);
      if (special) {
        add(child, 1);
      }
    }
    starts[i + 1] = latents.length;
  }
  const codes = { rows: words, starts, latents: Int32Array.from(latents), values: Float32Array.from(values) };
  const spelled: SpelledWords = {
    inputs,
    width,
    x,
    codes,
    letters: Array.from({ length: words }, (_, i) => LETTERS[i % LETTERS.length]!),
  };
  return { spelled, decoder };
}
const scored = ({ spelled, decoder }: ReturnType<typeof planted>) => absorption(spelled, decoder, split);
const all = new Set(Array.from({ length: width }, (_, i) => i));

describe(`absorption on first letters, seed ${SEED}`, () => {
  it('finds the words on which the latent of the word stands in for that of the letter', () => {
    const { letters, fixed, left_out } = scored(planted(true));
    const a = letters[0]!;
    expect(left_out).toEqual([]);
    expect(letters.map(({ letter, fixed: { main } }) => [letter, main])).toEqual(LETTERS.map((name, i) => [name, [i]]));
    // Of the held-out words of letter a, numbers 0, 5, .., 55, every fourth is absorbed.
    expect(a.words).toBe(12);
    expect(a.fixed.full).toBe(3 / 12);
    expect(a.fixed.fraction).toBe(3 / 12);
    for (const { fixed } of letters.slice(1)) {
      expect([fixed.full, fixed.fraction]).toEqual([0, 0]);
    }
    expect(fixed!.full).toBeCloseTo(3 / (12 * LETTERS.length), 12);
    // Codes that are never negative: both forms agree.
    for (const letter of letters) {
      expect(letter.original).toEqual(letter.fixed);
    }
  });

  it('finds none where the letter fires beside the word', () => {
    const { fixed, original } = scored(planted(false));
    expect(fixed).toEqual({ full: 0, fraction: 0 });
    expect(original).toEqual(fixed);
  });

  it('does not depend on the signs of latents in the fixed form; the original form does', () => {
    const plain = scored(planted(true));
    const random = stream(SEED, 'absorption/flips').uniform(width);
    const some = new Set([...all].filter((i) => random[i]! < 0.5));
    for (const flips of [all, some, new Set([0])]) {
      const turned = scored(planted(true, flips));
      expect(turned.fixed).toEqual(plain.fixed);
      expect(turned.letters.map(({ fixed }) => fixed)).toEqual(plain.letters.map(({ fixed }) => fixed));
    }
    // Absorbers that fire at their negative pole are overlooked there.
    const absorbers = new Set([...all].filter((i) => i >= LETTERS.length));
    expect(scored(planted(true, absorbers)).original!.full).toBe(0);
  });

  it('leaves out letters that the activations do not spell, and says so', () => {
    const { spelled, decoder } = planted(true);
    const shuffled = [...stream(SEED, 'absorption/letters').permutation(words)].map((i) => spelled.letters[i]!);
    const { fixed, letters, left_out } = absorption({ ...spelled, letters: shuffled }, decoder, split);
    expect([fixed, letters]).toEqual([null, []]);
    expect(left_out.map(({ letter }) => letter)).toEqual(LETTERS);
    for (const { reason } of left_out) {
      expect(reason).toContain('do not spell it');
    }
    const few = spelled.letters.map((letter, i) => (i < 18 && letter === 'a' ? 'z' : letter));
    expect(absorption({ ...spelled, letters: few }, decoder, split).left_out).toMatchObject([{ letter: 'z' }]);
  });
});

describe(`logistic regression with an L1 penalty, seed ${SEED}`, () => {
  it('meets the conditions of its optimum', () => {
    const { spelled } = planted(true);
    const { codes } = spelled;
    const y = spelled.letters.map((letter) => (letter === 'a' ? 1 : 0));
    const l1 = 0.01;
    const weights = sparseLogistic(codes, width, y, split.train, l1)!;
    // The intercept is not given back: it is where the errors sum to 0.
    const square = new Float64Array(width);
    const each = (row: number, body: (latent: number, value: number) => void) => {
      for (let e = codes.starts[row]!; e < codes.starts[row + 1]!; e++) {
        body(codes.latents[e]!, codes.values[e]!);
      }
    };
    for (const row of split.train) {
      each(row, (i, v) => (square[i]! += v ** 2 / split.train.length));
    }
    const scale = square.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 0));
    const logit = (row: number) => {
      let a = 0;
      each(row, (i, v) => (a += weights[i]! * v * scale[i]!));
      return a;
    };
    const errors = (b: number) => split.train.map((row) => 1 / (1 + Math.exp(-(logit(row) + b))) - y[row]!);
    let [low, high] = [-30, 30];
    for (let i = 0; i < 80; i++) {
      const middle = (low + high) / 2;
      if (errors(middle).reduce((sum, e) => sum + e, 0) > 0) {
        high = middle;
      } else {
        low = middle;
      }
    }
    const gradient = new Float64Array(width);
    errors(low).forEach((error, n) => {
      each(split.train[n]!, (i, v) => (gradient[i]! += (error * v * scale[i]!) / split.train.length));
    });
    weights.forEach((weight, i) => {
      if (weight !== 0) {
        expect(Math.abs(gradient[i]! + l1 * Math.sign(weight))).toBeLessThan(1e-4);
      } else {
        expect(Math.abs(gradient[i]!)).toBeLessThan(l1 + 1e-4);
      }
    });
    expect(weights[0]).toBeGreaterThan(0.5);
  });
});
