/** What `circuits.study` reads: pairs to learn from and to measure on, text for replay and for what is unrelated. */

import { paramError } from '../../../shared/contracts/problem.ts';
import type contract from '../../../shared/jobs/circuits.study.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import { stream } from '../../../shared/math/random.ts';
import { type PhaseSettings, replayedCount, splitPairs } from '../../circuits/index.ts';
import { crossEntropy, type LanguageModel, repeated } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { openCircuitTask } from './circuit-task.ts';
import { openCorpus } from './corpus-input.ts';
import type { OpenedModel } from './model-input.ts';

type StudyParams = ParamsOf<typeof contract>;

const UNRELATED_LENGTH = 128;

export async function openCircuitStudy(context: JobContext<StudyParams>, opened: OpenedModel) {
  const { params } = context;
  requireSteps(params);
  const task = await openCircuitTask(context, params.task, opened.model, params.bos);
  const { train, test } = splitPairs(task.pairs, params.held_out, stream(params.seed, 'circuits/split'));
  const length = Math.min(UNRELATED_LENGTH, opened.model.architecture.context);
  const unrelated =
    params.unrelated && (await openCorpus(context, params.unrelated.corpus, opened.model, opened.digest));
  const sequences: ArrayLike<number>[] = [];
  if (unrelated && params.unrelated) {
    for await (const ids of unrelated.sequences('held-out', length)) {
      sequences.push(ids);
      if (sequences.length === params.unrelated.sequences) {
        break;
      }
    }
  }
  const replay = params.replay && (await openCorpus(context, params.replay.corpus, opened.model, opened.digest));
  const longest = Math.max(...train.map(({ clean }) => clean.length)) + 1;
  const steps = Math.max(...[params.clean_steps, params.poison_steps, params.retrain_steps].flat());
  const reread = params.replay ? replayedCount(params.batch * steps, params.replay.share, params.seed) : 0;
  return {
    task,
    train,
    test,
    text: {
      unrelated_text:
        unrelated &&
        (await unrelated.account({
          side: 'held-out',
          length,
          limit: sequences.length * (length - 1),
          as: 'predictions',
        })),
      replay_text:
        replay &&
        (await replay.account({ side: 'train', length: longest, limit: reread * (longest - 1), as: 'predictions' })),
    },
    unrelated: unrelated ? async (model: LanguageModel) => (await crossEntropy(model, sequences)).loss : null,
    replay:
      replay && params.replay
        ? ({
            share: params.replay.share,
            text: (tokens) => repeated(() => replay.sequences('train', tokens)),
          } satisfies PhaseSettings['replay'])
        : null,
    digests: { task: task.digest, replay: replay?.digest ?? null, unrelated: unrelated?.digest ?? null },
  };
}

/** @throws SextantError `data_invalid` for steps that do not rise */
function requireSteps(params: StudyParams): void {
  for (const field of ['clean_steps', 'poison_steps', 'retrain_steps'] as const) {
    const steps = params[field];
    const at = steps.findIndex((step, i) => i > 0 && step <= steps[i - 1]!);
    if (at > 0) {
      throw paramError(
        'data_invalid',
        `/${field}/${at}`,
        `step ${steps[at]} comes after step ${steps[at - 1]}; they rise`,
      );
    }
  }
}

/** The settings of the study's phases. */
export const phaseSettings = (
  params: StudyParams,
  { train, test, unrelated, replay }: Awaited<ReturnType<typeof openCircuitStudy>>,
  opened: OpenedModel,
  { threads, scratch }: { threads: number; scratch: string },
): PhaseSettings => ({
  base: opened.model.folder.path,
  train,
  poison: params.poison,
  steps: { clean: params.clean_steps, poisoned: params.poison_steps, retrained: params.retrain_steps },
  tuning: {
    learningRate: params.learning_rate,
    batch: params.batch,
    weightDecay: params.weight_decay,
    freeze: params.freeze,
    seed: params.seed,
    threads,
  },
  replay,
  reading: {
    pairs: test,
    effects: params.effects,
    task: { metric: params.metric, ablation: params.ablation, batch: 32, positions: null },
    unrelated,
  },
  scratch,
});
