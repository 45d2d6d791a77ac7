/** A study's autoencoder trained again on the activations of a compressed model. */

import { FINE_TUNING } from '../../../shared/jobs/compression.study.ts';
import { SAE_VARIANTS } from '../../../shared/models/sae-variants.ts';
import type { LanguageModel } from '../../lm/index.ts';
import type { Provider } from '../../runtime/index.ts';
import {
  defaultRate,
  foldScale,
  type SaeConfiguration,
  type SweepMember,
  saeConfiguration,
  type TrainedSae,
  trainingSource,
  trainSweep,
} from '../../sae/index.ts';
import { matchL0 } from './matched-l0.ts';

/** Null: as it was trained, or the usual. */
type Asked = { steps: number | null; batch: number | null };
type Retraining = {
  hook: string;
  /** How it was trained, where that is stored. */
  params: Readonly<Record<string, unknown>> | null;
  asked: Asked;
  /** Text to learn from, in sequences of `length` tokens; `pass` of them in one forward pass. */
  sequences: () => AsyncIterable<ArrayLike<number>>;
  length: number;
  pass: number;
  seed: number;
  threads: number;
  provider: Provider;
  /** What its L0 must match, by choosing the penalty's coefficient; null: whatever the recipe gives. */
  matching: Matching | null;
  /** @param share of the work */
  progress(share: number): void;
};

/** An L0 to be matched, and how it is measured. */
export type Matching = { l0: number; l0Of(sae: TrainedSae): Promise<number> };

export type Retrained = {
  sae: TrainedSae;
  kind: 'recipe' | 'fine-tuned';
  /** Of the penalty; null where a number of latents is kept without one. */
  coefficient: number | null;
};

/** @throws SextantError as `trainSweep` */
export async function retrainSae(model: LanguageModel, sae: TrainedSae, options: Retraining): Promise<Retrained> {
  const { hook, params, asked, sequences, length, pass, seed, threads, provider, matching, progress } = options;
  const { member, batch, scaling, kind } = retraining(sae, params, asked);
  const { steps } = member.schedule;
  const trained = async (sparsity: number, training: number): Promise<TrainedSae> => {
    // Nobody knows how many trainings follow: each takes half of what is left.
    const share = 2 ** -(training + 1);
    const swept = await trainSweep({
      source: trainingSource({ model, hook, sequences, length, pass, batch, seed, normCap: 10 }),
      members: [{ ...member, configuration: { ...member.configuration, sparsity } }],
      steps,
      batch,
      threads,
      provider,
      scaling,
      centre: 'geometric_median',
      progress: ({ step }) => progress(1 - 2 * share + (share * step) / steps),
    });
    const [own] = swept.members;
    if (!own) {
      throw new RangeError('a sweep of one autoencoder has one result');
    }
    return { ...sae, parameters: foldScale(own.parameters, swept.scale) };
  };
  const { sparsity } = member.configuration;
  if (SAE_VARIANTS[sae.variant].regulariser === 'at_most_k') {
    return { sae: await trained(sparsity, 0), kind, coefficient: null };
  }
  if (!matching) {
    return { sae: await trained(sparsity, 0), kind, coefficient: sparsity };
  }
  const { found, coefficient } = await matchL0(
    async (own, training) => {
      const candidate = await trained(own, training);
      return { found: candidate, l0: await matching.l0Of(candidate) };
    },
    sparsity,
    matching.l0,
  );
  return { sae: found, kind, coefficient };
}

/** How the autoencoder is trained again: by its stored recipe, or from where it stands where none is stored. */
function retraining(
  sae: TrainedSae,
  params: Readonly<Record<string, unknown>> | null,
  asked: Asked,
): { member: SweepMember; batch: number; scaling: 'unit' | 'none'; kind: 'recipe' | 'fine-tuned' } {
  const { inputs, width } = sae.parameters;
  const number = (name: string): number | null =>
    typeof params?.[name] === 'number' ? (params[name] as number) : null;
  const stored = params !== null && number('steps') !== null && number('rate') !== null;
  const configuration: SaeConfiguration = saeConfiguration({
    ...(stored ? (pick(params) as Partial<SaeConfiguration>) : {}),
    variant: sae.variant,
    inputs,
    width,
    subtractBias: sae.subtractBias,
    ...(sae.k !== null && { k: sae.k }),
    // A stored autoencoder's decoder may have rows of any norm; fine-tuning leaves them free.
    ...(!stored && { unitRows: false }),
  });
  const steps = asked.steps ?? (stored ? number('steps')! : FINE_TUNING.steps);
  const schedule = {
    rate: stored ? number('rate')! : defaultRate(width) / 4,
    steps,
    warmupSteps: Math.min(number('warmupSteps') ?? 0, steps),
    decayFraction: number('decayFraction') ?? 0.2,
  };
  return {
    member: {
      configuration,
      schedule,
      seed: number('stream_seed') ?? 0,
      ...(!stored && { start: sae.parameters }),
    },
    batch: asked.batch ?? number('batch') ?? FINE_TUNING.batch,
    scaling: stored && params.input_scaling !== 'none' ? 'unit' : 'none',
    kind: stored ? 'recipe' : 'fine-tuned',
  };
}

/** Activations that one retraining learns from. */
export function retrainingRows(sae: TrainedSae, { params, asked }: Pick<Retraining, 'params' | 'asked'>): number {
  const { member, batch } = retraining(sae, params, asked);
  return member.schedule.steps * batch;
}

const RECIPE_FIELDS = [
  'sparsity',
  'encoderScale',
  'unitRows',
  'beta1',
  'beta2',
  'epsilon',
  'clipNorm',
  'auxiliaryWeight',
  'auxiliaryLatents',
  'deadTokens',
  'bandwidth',
  'logThreshold',
  'threshold',
  'matryoshkaPrefixes',
  'iterations',
  'iterationStep',
];
const pick = (params: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(RECIPE_FIELDS.filter((name) => name in params).map((name) => [name, params[name]]));
