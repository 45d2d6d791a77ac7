/** What a training job learns of a task: the answers of its pairs, right or poisoned. */
import { paramError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import { lessonSequences, lessonsOf, replayedCount, splitPairs, withReplay } from '../../circuits/index.ts';
import { repeated } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { openCircuitTask } from './circuit-task.ts';
import { openCorpus } from './corpus-input.ts';
import type { TrainingStart, TrainingText, TrainParams } from './training-start.ts';

/** A tenth of the pairs, by whole templates where there are some, is held out; of them the right answers are asked for. */
const HELD_OUT = 0.1;

/** @throws SextantError `data_invalid` as `openCircuitTask`, and without a model to train further; `context_exceeded` */
export async function openLessons(
  context: JobContext<TrainParams>,
  { parent, length }: TrainingStart,
  { of, bos, labels, replay }: NonNullable<TrainParams['task']>,
): Promise<TrainingText> {
  const { batch, corpus, seed, steps } = context.params;
  if (!parent) {
    throw paramError(
      'data_invalid',
      '/task',
      'a task is learnt by a model that is trained further; name one in `from`',
    );
  }
  const task = await openCircuitTask(context, of, parent.model, bos);
  const longest = Math.max(...task.pairs.map(({ clean }) => clean.length));
  if (longest + 1 > length) {
    throw paramError('context_exceeded', '/context', `the longest pair needs ${longest}; the context is ${length - 1}`);
  }
  const { train, test } = splitPairs(task.pairs, HELD_OUT, stream(seed, 'circuits/split'));
  const lessons = lessonSequences(lessonsOf(train, labels, seed, '/task/labels'), length, seed);
  const text = replay > 0 ? await openCorpus(context, corpus, parent.model, parent.digest) : null;
  const held = lessonsOf(test, { kind: 'clean' }, seed, '/task/labels').map(({ prompt, target }) => ({
    ids: [...prompt, target],
    weights: [...prompt.map(() => 0), 1],
  }));
  return {
    digest: await sha256Hex(canonicalJson({ task: task.digest, labels, replay, corpus: text?.digest ?? null })),
    unseen: true,
    weighted: true,
    sequences: text
      ? withReplay(lessons, { text: repeated(() => text.sequences('train', length)), share: replay }, seed)
      : endless(lessons),
    account: async () =>
      (await text?.account({
        side: 'train',
        length,
        limit: replayedCount(batch * steps, replay, seed) * (length - 1),
        as: 'predictions',
      })) ?? null,
    heldOutAccount: async () => null,
    heldOut: async () => held,
  };
}

async function* endless<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
