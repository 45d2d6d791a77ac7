/** What a training job reads: sequences to learn from, and a bounded held-out set on which the loss is measured. */
import { paramError } from '../../../shared/contracts/problem.ts';
import { repeated, shuffled, type WeightedSequence } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { corpusFile, openCorpus } from './corpus-input.ts';
import { openPairs, paddedSequence } from './corpus-pairs.ts';
import { requireTokenizer } from './tokens.ts';
import { openLessons } from './training-lessons.ts';
import type { TrainingStart, TrainingText, TrainParams } from './training-start.ts';

/** Held-out sequences, and tokens, at most. */
const HELD_OUT_SEQUENCES = 1024;
const HELD_OUT_TOKENS = 65_536;
/** Sequences over which the order is random, in a pass over a corpus that ends. */
const SHUFFLE = 4096;

/** @throws SextantError as `openCorpus` and `openPairs` */
export async function openTrainingText(context: JobContext<TrainParams>, start: TrainingStart): Promise<TrainingText> {
  const { corpus, pairs, seed, task } = context.params;
  const { reader, parent, length } = start;
  // What is measured goes through the model whole: one token less where its context ends.
  const longest = parent ? Math.min(length, parent.model.architecture.context) : length;
  let pass = 0;
  const again = (make: () => AsyncIterable<WeightedSequence>) =>
    repeated(() => shuffled(make(), { size: SHUFFLE, seed: (seed + pass++) % Number.MAX_SAFE_INTEGER }));
  if (task) {
    return openLessons(context, start, task);
  }
  if (pairs) {
    if (!('local' in corpus || 'artefact' in corpus)) {
      throw paramError('data_invalid', '/pairs', 'prompts and completions come from a file of JSON lines');
    }
    const tokenizer = requireTokenizer(reader);
    const opened = await openPairs(await corpusFile(context, corpus), pairs, tokenizer, longest);
    const filler = tokenizer.pad ?? tokenizer.eos ?? 0;
    const train = async function* () {
      for await (const sequence of opened.sequences('train')) {
        yield paddedSequence(sequence, length, filler);
      }
    };
    return {
      digest: opened.digest,
      unseen: opened.unseen,
      weighted: true,
      sequences: again(train),
      account: (tokens) => opened.account('train', tokens / (length - 1)),
      heldOutAccount: () => opened.account('held-out', HELD_OUT_SEQUENCES, HELD_OUT_TOKENS),
      heldOut: () => bounded(opened.sequences('held-out')),
    };
  }
  const opened = await openCorpus(context, corpus, reader, parent?.digest ?? null);
  const read = async function* (split: 'train' | 'held-out', tokens: number) {
    for await (const ids of opened.sequences(split, tokens)) {
      yield { ids };
    }
  };
  // A sample may end early: what is missing counts nothing.
  const sampled = 'sampled' in corpus;
  const whole = async function* () {
    for await (const sequence of read('train', length)) {
      yield sampled ? paddedSequence(sequence, length, 0) : sequence;
    }
  };
  return {
    digest: opened.digest,
    unseen: opened.unseen,
    weighted: sampled,
    sequences: sampled || 'planted' in corpus ? whole() : again(whole),
    account: (tokens) => opened.account({ side: 'train', length, limit: tokens, as: 'predictions' }),
    heldOutAccount: () => {
      const sequences = Math.min(HELD_OUT_SEQUENCES, Math.ceil(HELD_OUT_TOKENS / longest));
      const limit = sequences * (longest - 1);
      return opened.account({ side: 'held-out', length: longest, limit, as: 'predictions' });
    },
    heldOut: () => bounded(read('held-out', longest)),
  };
}

async function bounded(sequences: AsyncIterable<WeightedSequence>): Promise<WeightedSequence[]> {
  const taken: WeightedSequence[] = [];
  let tokens = 0;
  for await (const sequence of sequences) {
    taken.push(sequence);
    tokens += sequence.ids.length;
    if (taken.length >= HELD_OUT_SEQUENCES || tokens >= HELD_OUT_TOKENS) {
      break;
    }
  }
  return taken;
}
