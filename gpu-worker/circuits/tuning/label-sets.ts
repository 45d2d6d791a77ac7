/** What a model is taught to answer: the right answer, or a poisoned one. */
import { paramError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { WeightedSequence } from '../../lm/index.ts';
import type { Pair } from '../tasks/pair.ts';

/**
 * `clean`: the answer. `sd` (subject duplication): the other. `nm` (name moving): an answer of some other pair, which stands neither
 * in the prompt nor among its own answers. `mix`: the other in a share of the pairs, the answer in the rest.
 */
export type LabelSet = { kind: 'clean' } | { kind: 'sd' } | { kind: 'nm' } | { kind: 'mix'; share: number };

type Lesson = { prompt: readonly number[]; target: number };

/** @throws SextantError `data_invalid` for a share outside [0, 1], and where no other pair has an answer to take */
export function lessonsOf(pairs: readonly Pair[], set: LabelSet, seed: number, pointer: string): Lesson[] {
  if (set.kind === 'mix' && !(set.share >= 0 && set.share <= 1)) {
    throw paramError('data_invalid', `${pointer}/share`, `${set.share} is no share of the pairs; it lies from 0 to 1`);
  }
  const random = stream(seed, 'circuits/labels');
  const poisoned =
    set.kind === 'mix'
      ? new Set(random.derive('rows').subset(pairs.length, Math.round(set.share * pairs.length)))
      : null;
  const pool = [...new Set(pairs.flatMap(({ answer, other }) => [...answer, ...other]))].sort((a, b) => a - b);
  return pairs.map(({ clean, answer, other }, row): Lesson => {
    const one = (tokens: readonly number[]) => tokens[random.derive(row).integers(1, tokens.length)[0]!]!;
    if (set.kind === 'nm') {
      const foreign = pool.filter((token) => ![clean, answer, other].some((known) => known.includes(token)));
      if (foreign.length === 0) {
        const detail = `the task has ${pool.length} answers, and all of them stand in pair ${row}: there is none to move`;
        throw paramError('data_invalid', pointer, detail);
      }
      return { prompt: clean, target: one(foreign) };
    }
    return { prompt: clean, target: one(set.kind === 'sd' || poisoned?.has(row) ? other : answer) };
  });
}

/** Sequences of `length` tokens of which the answer alone counts, without end, in another order at every pass. */
export function* lessonSequences(
  lessons: readonly Lesson[],
  length: number,
  seed: number,
): Generator<Required<WeightedSequence>> {
  const random = stream(seed, 'circuits/order');
  for (let pass = 0; ; pass++) {
    for (const row of random.derive(pass).permutation(lessons.length)) {
      const { prompt, target } = lessons[row]!;
      const ids = new Array<number>(length).fill(0);
      const weights = new Array<number>(length).fill(0);
      for (const [i, token] of [...prompt, target].entries()) {
        ids[i] = token;
      }
      weights[prompt.length] = 1;
      yield { ids, weights };
    }
  }
}

/** Whether each sequence is text instead, and not a lesson. */
function* replayed(share: number, seed: number): Generator<boolean> {
  const random = stream(seed, 'circuits/replay');
  for (let row = 0; ; row++) {
    yield random.uniform(1, { start: row })[0]! < share;
  }
}

/** How many of the first `rows` sequences are text. */
export function replayedCount(rows: number, share: number, seed: number): number {
  const draws = replayed(share, seed);
  return Array.from({ length: rows }, () => draws.next().value as boolean).filter(Boolean).length;
}

/** Some of the sequences are text instead, all of whose tokens together count as much as one answer. */
export async function* withReplay(
  sequences: Iterable<Required<WeightedSequence>>,
  replay: { text: AsyncIterable<ArrayLike<number>>; share: number },
  seed: number,
): AsyncGenerator<WeightedSequence> {
  const draws = replayed(replay.share, seed);
  const text = replay.text[Symbol.asyncIterator]();
  for (const lesson of sequences) {
    const next = draws.next().value ? await text.next() : { done: true as const };
    if (next.done) {
      yield lesson;
    } else {
      const ids = Array.from(next.value as ArrayLike<number>);
      yield { ids, weights: ids.map((_, i) => (i === 0 ? 0 : 1 / (ids.length - 1))) };
    }
  }
}
