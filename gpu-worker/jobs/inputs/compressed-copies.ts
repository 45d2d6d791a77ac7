/** The compressed copies of a study: each is opened, studied and let go of; what an earlier attempt finished is not done again. */
import type contract from '../../../shared/jobs/compression.study.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import { type CompressionStudy, type Matching, retrainSae, statedCopy } from '../../compression/index.ts';
import type { TrainedSae } from '../../sae/index.ts';
import type { StudiedCopies } from '../checkpoints/studied-copies.ts';
import type { JobContext } from '../handler.ts';
import { openModel } from './model-input.ts';

/** How the autoencoder is trained again on a copy. */
type Training = Omit<Parameters<typeof retrainSae>[2], 'matching' | 'asked' | 'progress' | 'provider'>;

/**
 * @param sae of the dense model
 * @param progress told how many copies are done, parts of one included
 * @returns how many were done before
 */
export async function studyCopies(
  context: JobContext<ParamsOf<typeof contract>>,
  { study, sae, training }: { study: CompressionStudy; sae: TrainedSae; training: Training },
  finished: StudiedCopies,
  progress: (done: number, stage: string) => void,
): Promise<number> {
  const { copies, retrain } = context.params;
  const resumed = finished.done.length;
  for (const [i, { label, model: copy }] of [...copies.entries()].slice(resumed)) {
    const { model, provider } = await openModel(context, copy);
    try {
      const told = (share: number): void => progress(i + 0.8 * share, 'retraining');
      const again =
        retrain &&
        ((matching: Matching | null) =>
          retrainSae(model, sae, { ...training, provider, matching, asked: retrain, progress: told }));
      const found = await study.copy(model, again, `/copies/${i}`);
      finished.add({ stated: statedCopy(label, found), drift: found.drift });
    } finally {
      await model.release();
    }
    progress(i + 1, 'studying');
  }
  return resumed;
}
