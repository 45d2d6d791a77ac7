/** An autoencoder's evaluation by the names of `sae.evaluate`'s contract. */
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/sae.evaluate.ts';
import type { SaeEvaluation, SaeMeasures, TrainedSae, Vocabulary } from '../../sae/index.ts';

type EvaluatedSae = ResultOf<typeof contract>['saes'][number];

/** @param of what the params named, and what it was measured with */
export function evaluatedSae(
  sae: TrainedSae,
  { measures, scores, loss, tasks, absorption, intervals }: SaeEvaluation,
  of: Pick<EvaluatedSae, 'id' | 'hook' | 'mismatch' | 'steering'> & { vocabulary: Vocabulary | null },
): EvaluatedSae & { decoder_cosines: SaeMeasures['decoder'] } {
  const { decoder, ...numbers } = measures;
  return {
    id: of.id,
    variant: sae.variant,
    width: sae.parameters.width,
    k: sae.k,
    hook: of.hook,
    mismatch: of.mismatch,
    ...numbers,
    antipodal_share: decoder.antipodal,
    decoder_cosines: decoder,
    loss,
    intervals,
    labelled: tasks,
    absorption: absorption &&
      of.vocabulary && { words: of.vocabulary.words.length, dropped: of.vocabulary.dropped, ...absorption },
    steering: of.steering,
    axes: scores,
  };
}
