/**
 * What a job will need, before it runs: its contract counts quantities from its sizes, the unit cost of each quantity was
 * measured by `npm run bench -- costs --calibrate`. Times are processor seconds, which a worker of two cores takes at most.
 */

import type { Manifest } from '../contracts/manifest.ts';
import type { LanguageDescription } from '../contracts/model.ts';
import { UNIT_COSTS } from './costs.generated.ts';

/** Named quantities: `seconds` of work by its kind, `memory` in bytes that are held at once by what holds them. */
export type Work = {
  seconds: Readonly<Record<string, number>>;
  memory: Readonly<Record<string, number>>;
  artefact_bytes: number;
};
/** Cost of one of each quantity: processor seconds and bytes. */
export type UnitCosts = {
  seconds: Readonly<Record<string, number>>;
  memory: Readonly<Record<string, number>>;
};
export type Estimate = { device_seconds: number; memory_bytes: number; artefact_bytes: number };
export type ModelSizes = Pick<
  LanguageDescription,
  'layers' | 'heads' | 'width' | 'vocabulary' | 'context' | 'parameters'
>;

/** Stands in for a model that no worker has described yet: the sizes of GPT-2 small. */
export const ASSUMED_MODEL: ModelSizes = {
  layers: 12,
  heads: 12,
  width: 768,
  vocabulary: 50_257,
  context: 1024,
  parameters: 124_439_808,
};

/** What stands for the model of a job that reads files instead. */
export const NO_MODEL: ModelSizes = { layers: 1, heads: 1, width: 0, vocabulary: 0, context: 1, parameters: 0 };

/** Latents per dimension of an autoencoder whose sizes are not known. */
export const ASSUMED_EXPANSION = 16;

/** The estimate of a job of this type. @throws RangeError for a quantity whose unit cost was never measured */
export function priceOf(type: string, work: Work, costs: UnitCosts | undefined = UNIT_COSTS[type]): Estimate {
  const sum = (kind: 'seconds' | 'memory'): number =>
    Object.entries(work[kind]).reduce((total, [name, quantity]) => {
      const unit = costs?.[kind][name];
      if (unit === undefined) {
        throw new RangeError(`${type} has no unit cost for ${kind} of '${name}'`);
      }
      return total + unit * quantity;
    }, 0);
  return {
    device_seconds: Number(sum('seconds').toPrecision(3)),
    memory_bytes: Math.round(sum('memory')),
    artefact_bytes: Math.round(work.artefact_bytes),
  };
}

/** Bytes of a float32 tensor of this many values. */
export const floats = (values: number): number => 4 * values;

/** Weights that every token is multiplied with, without the embedding and the head. */
export const bodyWeights = ({ parameters, vocabulary, width }: ModelSizes): number =>
  Math.max(0, parameters - vocabulary * width);

/**
 * Multiply-adds of one token through the layers up to a hook point (all without one): weights, then attention to a context.
 * The head is left out: where logits are wanted it counts `vocabulary * width` more.
 */
export function tokenWork(model: ModelSizes, context: number, hook: string | null = null): number {
  const layer = Number(hook?.split('.')[1] ?? model.layers - 1);
  const share = Math.min(1, (layer + 1) / model.layers);
  return share * (bodyWeights(model) + 2 * model.layers * Math.min(context, model.context) * model.width);
}

/** Tokens of a text of so many characters: a small vocabulary is one of bytes or words, others hold about four each. */
export const textTokens = (characters: number, { vocabulary }: ModelSizes): number =>
  Math.ceil(characters / (vocabulary < 1000 ? 1 : 4));

/** Sizes of the autoencoders among the published results that a job reads; `k` is null where nothing bounds the codes. */
const saesAmong = (published: readonly Manifest[]): { width: number; inputs: number; k: number | null }[] =>
  published.flatMap(({ kind, body: { width, inputs, k } }) =>
    kind === 'sae' && typeof width === 'number' && typeof inputs === 'number'
      ? [{ width, inputs, k: typeof k === 'number' ? k : null }]
      : [],
  );
/** Weights of the autoencoders among the published results that a job reads, in values. */
export const saeWeights = (published: readonly Manifest[]): number =>
  saesAmong(published).reduce((sum, { width, inputs }) => sum + 2 * width * inputs, 0);
/** Latents of the autoencoders among the published results that a job reads. */
export const saeLatents = (published: readonly Manifest[]): number =>
  saesAmong(published).reduce((sum, { width }) => sum + width, 0);
/** Codes of one token over those autoencoders that are not 0; of a penalised variant as of a tenth of its latents. */
export const saeCodes = (published: readonly Manifest[]): number =>
  saesAmong(published).reduce((sum, { width, k }) => sum + (k ?? width / 10), 0);
