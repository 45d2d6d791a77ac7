/** The field's names for what the contracts of `sae.train` and `sae.evaluate` name in another way. */
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import type evaluation from '../../shared/jobs/sae.evaluate.ts';
import type training from '../../shared/jobs/sae.train.ts';
import type { SaeMeasures, TrainedSae } from './measures/evaluate.ts';
import type { SaeEvaluation } from './measures/held-out-evaluation.ts';
import type { Vocabulary } from './probes/spelling.ts';
import type { SweptSae } from './trained-sweep.ts';
import { defaultRate, saeConfiguration } from './training/configuration.ts';
import type { SweepMember, SweepProgress } from './training/sweep.ts';

type TrainParams = ParamsOf<typeof training>;
/** Steps over which the learning rate rises where nothing else is asked for. */
const WARM_UP_STEPS = 100;
type EvaluatedSae = ResultOf<typeof evaluation>['saes'][number];

/** One autoencoder that the params ask for, on activations of `inputs` dimensions. */
export function sweepMember(spec: TrainParams['saes'][number], inputs: number, params: TrainParams): SweepMember {
  const { variant, width, k, sparsity, seed, matryoshka_prefixes, iterations, threshold, bandwidth, log_threshold } =
    spec;
  const configuration = saeConfiguration({
    variant,
    inputs,
    width,
    matryoshkaPrefixes: matryoshka_prefixes,
    iterations,
    auxiliaryWeight: params.auxiliary_weight,
    deadTokens: params.dead_tokens,
    clipNorm: params.clip_norm,
    ...(k !== null && { k }),
    ...(sparsity !== null && { sparsity }),
    ...(threshold !== null && { threshold }),
    ...(bandwidth !== null && { bandwidth }),
    ...(log_threshold !== null && { logThreshold: log_threshold }),
  });
  const schedule = {
    rate: params.learning_rate ?? defaultRate(width),
    steps: params.steps,
    warmupSteps: params.warmup_steps ?? WARM_UP_STEPS,
    decayFraction: params.decay_fraction,
  };
  return { configuration, schedule, seed };
}

/** A sweep's progress, which takes most of its job's time. */
export const statedProgress = (now: SweepProgress, steps: number) => ({
  fraction: (0.95 * now.step) / steps,
  stage: 'training',
  metrics: {
    loss: now.loss,
    fvu: now.fvu,
    l0: now.l0,
    dead_share: now.deadShare,
    tokens_per_s: now.tokensPerSecond,
    seconds_left: now.secondsLeft,
  },
});

/** How one autoencoder was made and what it does, as its manifest keeps them. */
export const manifestOfSwept = (
  { member, measures: m, deadShare }: SweptSae,
  params: TrainParams,
): { seed: number; params: Record<string, unknown>; measures: Record<string, unknown> } => ({
  seed: member.seed,
  params: {
    ...member.configuration,
    ...member.schedule,
    batch: params.batch,
    ...(params.activations ? { activations: params.activations } : { context: params.context, corpus: params.corpus }),
    input_scaling: params.input_scaling,
    decoder_bias: params.decoder_bias,
    norm_cap: params.norm_cap,
    stream_seed: params.seed,
  },
  measures: {
    fvu: m.fvu,
    nmse: m.nmse,
    mse: m.mse,
    cosine: m.cosine,
    l0: m.l0,
    dead_share: deadShare,
    minority_share_05: m.minority_share_05,
    tokens: m.tokens,
  },
});

/** @param id of the published autoencoder */
export const statedSwept = (
  id: string,
  { member, sae, measures, deadShare, loss }: SweptSae,
): ResultOf<typeof training>['saes'][number] => ({
  id,
  variant: sae.variant,
  width: member.configuration.width,
  k: sae.k,
  seed: member.seed,
  loss,
  fvu: measures.fvu,
  l0: measures.l0,
  dead_share: deadShare,
  minority_share: measures.minority_share_05,
});

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
