/** Years (Hanna et al. 2023): "The war lasted from the year 1732 to 17" should go on with a later year. */
import { paramError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { Tokenizer } from '../../lm/index.ts';
import type { WrittenPair } from './pair.ts';

const NOUNS =
  'war siege reign campaign famine expedition treaty voyage rebellion dispute conflict alliance empire dynasty project journey strike occupation crusade drought'.split(
    ' ',
  );
const CENTURIES = [11, 12, 13, 14, 15, 16, 17];
const two = (year: number): string => String(year).padStart(2, '0');

/**
 * Answers are all years of the century after the first, the others those up to it; the corrupted prompt begins in the year 01.
 * @throws SextantError `data_invalid` where the two digits of a year are not a token of their own
 */
export function greaterThanPairs(
  tokenizer: Tokenizer,
  { pairs, seed }: { pairs: number; seed: number },
): WrittenPair[] {
  const idOf = (text: string): number | null => {
    const ids = tokenizer.encode(text, { special: false });
    return ids.length === 1 ? ids[0]! : null;
  };
  const years = Array.from({ length: 100 }, (_, year) => idOf(two(year)));
  const split = (century: number, year: number): boolean => {
    const [whole, first] = [` ${century}${two(year)}`, ` ${century}`].map((text) =>
      tokenizer.encode(text, { special: false }),
    ) as [number[], number[]];
    return years[year] !== null && whole.length === first.length + 1 && whole.at(-1) === years[year];
  };
  const usable = CENTURIES.flatMap((century) =>
    split(century, 1)
      ? Array.from({ length: 97 }, (_, i) => ({ century, year: i + 2 })).filter(({ year }) => split(century, year))
      : [],
  );
  const missing = years.filter((year) => year === null).length;
  if (usable.length === 0 || missing > 0) {
    throw paramError(
      'data_invalid',
      '/task',
      `${100 - missing} of 100 two-digit years are single tokens of this tokenizer, and ${usable.length} years fall into a ` +
        'century and a year; the task needs them',
    );
  }
  const random = stream(seed, 'circuits/greater-than');
  const chosen = random.derive('years').integers(pairs, usable.length);
  const nouns = random.derive('nouns').integers(pairs, NOUNS.length);
  return Array.from({ length: pairs }, (_, i) => {
    const { century, year } = usable[chosen[i]!]!;
    const noun = NOUNS[nouns[i]!]!;
    const text = (from: number) => `The ${noun} lasted from the year ${century}${two(from)} to ${century}`;
    return {
      clean: text(year),
      corrupted: text(1),
      answer: years.slice(year + 1) as number[],
      other: years.slice(0, year + 1) as number[],
      template: noun,
      positions: { YY: -3, END: -1 },
    };
  });
}
