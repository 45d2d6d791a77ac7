/**
 * The contract of a job type: one file per type in this folder declares everything both sides need to know of it. The
 * HTTP route, the OpenAPI entry and the worker's dispatch follow from the generated index.
 */
import type { z } from 'zod';
import type { Lane } from '../contracts/lane.ts';
import type { Manifest, PublishedKind } from '../contracts/manifest.ts';
import type { ModelDescription, ModelReference, ModelTask } from '../contracts/model.ts';
import type { Scope } from '../contracts/scope.ts';
import type { VectorReference } from '../contracts/vector.ts';
import { ASSUMED_MODEL, type Estimate, type ModelSizes, priceOf, type Work } from './costs.ts';

/** A model that params refer to, with the hook points they name there and where in the params they stand. */
export type ModelUse = {
  reference: ModelReference;
  pointer: string;
  hooks: { hook: string; pointer: string }[];
  /** What the model must be for; a language model where it is not said. */
  task?: ModelTask;
  /** Tokens that its context has to hold, and where in the params that stands. */
  context?: { tokens: number; pointer: string };
};
/** A published result or uploaded artefact that params refer to by id. */
export type InputUse = { id: string; pointer: string };

/** A place in params that holds a vector by id or name; `of.vector` becomes an id when a request is taken. */
export type VectorUse = { of: { vector: VectorReference }; pointer: string };
type OperatorPermission = 'ALLOW_ABLATED_MODELS';

type InteractiveSizes<P extends z.ZodType = z.ZodType> = {
  readonly largest: Readonly<Record<string, number>>;
  /** One number for each name in `largest`. */
  of(params: z.output<P>): Readonly<Record<string, number>>;
};

export type JobContract<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> = {
  /** Dotted name, equal to the file's name. */
  readonly type: string;
  readonly summary: string;
  /** Raised when the meaning of params or result changes; part of `input_digest`. */
  readonly version: number;
  readonly scope: Scope;
  /** Params as the contract shows them: an ordinary small case. */
  readonly example: z.input<P>;
  /** Strict: unknown fields are refused. Defaults are applied before the digest is taken. */
  readonly params: P;
  readonly result: R;
  /** Names of the numbers that progress carries, with their units. */
  readonly progress: Readonly<Record<string, string>>;
  readonly produces: readonly PublishedKind[];
  models(params: z.output<P>): ModelUse[];
  inputs(params: z.output<P>): InputUse[];
  /** Vectors that may be named, which are among the inputs once they are ids. */
  vectors?(params: z.output<P>): VectorUse[];
  /**
   * What the job is expected to need on a CPU worker of two cores.
   * @param model the first of `models(params)` as a worker described it; null where none has yet
   * @param published manifests of those inputs that are published results
   */
  estimate(params: z.output<P>, model: ModelDescription | null, published: readonly Manifest[]): Estimate;
  /** The quantities that the estimate is the price of, where unit costs were measured. */
  work?(params: z.output<P>, model: ModelSizes, published: readonly Manifest[]): Work;
  /**
   * Where somebody waits for the answer: the sizes of a job, and the largest of each with which it still goes into the lane
   * `interactive`. Beyond them, and where nothing is said, a job goes into the lane `batch`.
   */
  readonly interactive?: InteractiveSizes<P>;
  /** What the operator must allow by a variable of that name before these params are taken; null for nothing. */
  permission?(params: z.output<P>): OperatorPermission | null;
  /** How long the job and its unpublished artefacts stay readable, in days. */
  readonly retention_days: number;
  /** Jobs on people's data: input artefacts are deleted 24 h after the end. */
  readonly sensitive_inputs?: boolean;
};

type Declared<P extends z.ZodType, R extends z.ZodType> = Omit<JobContract<P, R>, 'estimate' | 'work'> &
  (Required<Pick<JobContract<P, R>, 'work'>> | Pick<JobContract<P, R>, 'estimate'>);

/** Declares a job type, by its estimate or by quantities of work that measured unit costs price. */
export function defineJob<P extends z.ZodType, R extends z.ZodType>(contract: Declared<P, R>): JobContract<P, R> {
  if ('estimate' in contract) {
    return contract;
  }
  const { type, work } = contract;
  return {
    ...contract,
    estimate: (params, model, published) =>
      priceOf(type, work(params, model?.task === 'language' ? model : ASSUMED_MODEL, published)),
  };
}
/** The lane that a job of these params goes into. */
export function laneOf({ interactive }: Pick<JobContract, 'interactive'>, params: Record<string, unknown>): Lane {
  if (!interactive) {
    return 'batch';
  }
  const sizes = interactive.of(params);
  return Object.entries(interactive.largest).every(([name, largest]) => (sizes[name] ?? 0) <= largest)
    ? 'interactive'
    : 'batch';
}

export type ParamsOf<C> = C extends JobContract<infer P, z.ZodType> ? z.output<P> : never;
export type ResultOf<C> = C extends JobContract<z.ZodType, infer R> ? z.output<R> : never;
