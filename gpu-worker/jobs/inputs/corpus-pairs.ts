/** Prompts with their completions, as JSON lines: sequences in which only the completion counts. */
import { createHash } from 'node:crypto';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { TextAccount } from '../../../shared/contracts/text-use.ts';
import { type CorpusFile, fileRows, TextTally, type Tokenizer, type WeightedSequence } from '../../lm/index.ts';
import { belongs, type Split } from './corpus-input.ts';

type PairFields = { prompt: string; completion: string };
type OpenedPairs = {
  digest: string;
  unseen: boolean;
  /** One pass over a split. A sequence has as many tokens as its pair, with the end-of-sequence token if there is one. */
  sequences(split: Split): AsyncIterable<WeightedSequence>;
  /** What of the file its first `pairs` pairs hold, of which there are `tokens` at most; prompts are read and not learnt. */
  account(split: Split, pairs: number, tokens?: number): Promise<TextAccount>;
};

/**
 * @param longest most tokens of a pair
 * @throws SextantError `data_invalid` for a file that is not JSON lines with these fields or has none; while reading,
 *   `context_exceeded` for a pair that is too long, and `data_invalid` for one without a prompt or completion
 */
export async function openPairs(
  { path, format }: CorpusFile,
  { prompt, completion }: PairFields,
  tokenizer: Tokenizer,
  longest: number,
): Promise<OpenedPairs> {
  if (format !== 'jsonl') {
    throw new SextantError('data_invalid', 'prompts and completions are read from JSON lines');
  }
  const hash = createHash('sha256');
  let count = 0;
  for await (const _ of fileRows(path, [prompt, completion], (piece) => hash.update(piece))) {
    count++;
  }
  if (count === 0) {
    throw new SextantError('data_invalid', 'the corpus has no documents');
  }
  const sequenceOf = (line: number, [before, after]: readonly string[]): WeightedSequence => {
    const head = tokenizer.encode(before!);
    const tail = tokenizer.encode(after!, { special: false });
    if (head.length === 0 || tail.length === 0) {
      throw new SextantError('data_invalid', `line ${line} of the corpus has no tokens in its prompt or completion`);
    }
    if (tokenizer.eos !== null) {
      tail.push(tokenizer.eos);
    }
    const ids = [...head, ...tail];
    if (ids.length > longest) {
      throw new SextantError('context_exceeded', `line ${line} of the corpus has ${ids.length} tokens; ${longest} fit`);
    }
    return { ids, weights: ids.map((_, i) => Number(i >= head.length)) };
  };
  return {
    digest: hash.digest('hex'),
    unseen: count > 1,
    async account(side, pairs, tokens = Number.POSITIVE_INFINITY) {
      const tally = new TextTally();
      let [windows, read] = [0, 0];
      for await (const { document, line, values } of fileRows(path, [prompt, completion])) {
        const { ids, weights } = sequenceOf(line, values);
        if (!belongs(document, side, count) || windows >= pairs || read >= tokens) {
          tally.leaveOut(belongs(document, side, count) ? 'limit' : 'split', ids.length);
          continue;
        }
        for (const weight of Array.from(weights ?? [])) {
          tally.token(weight > 0 ? null : 'prompt');
        }
        tally.end('prompt');
        windows++;
        read += ids.length;
      }
      const split = side === 'train' ? 'train' : 'held_out';
      return { split, packing: 'documents', window: longest, windows, ...tally.account() };
    },
    async *sequences(split) {
      for await (const { document, line, values } of fileRows(path, [prompt, completion])) {
        if (belongs(document, split, count)) {
          yield sequenceOf(line, values);
        }
      }
    },
  };
}

/** The sequence at exactly `length` tokens: what is added at its end counts nothing, and nothing before it looks at it. */
export function paddedSequence({ ids, weights }: WeightedSequence, length: number, filler: number): WeightedSequence {
  const at = (values: ArrayLike<number>, rest: number) =>
    Array.from({ length }, (_, i) => (i < values.length ? values[i]! : rest));
  return { ids: at(ids, filler), weights: at(weights ?? Array.from(ids, () => 1), 0) };
}
