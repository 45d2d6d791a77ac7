/**
 * The contract of a job type: one file per type in this folder declares everything both sides need to know of it. The
 * HTTP route, the OpenAPI entry and the worker's dispatch follow from the generated index.
 */
import type { z } from 'zod';
import type { PublishedKind } from '../contracts/manifest.ts';
import type { ModelReference, ModelTask } from '../contracts/model.ts';
import type { Scope } from '../contracts/scope.ts';

/** What a job is expected to need; device seconds are those of a two-core CPU worker. */
export type Estimate = { device_seconds: number; memory_bytes: number; artefact_bytes: number };

/** A model that params refer to, with the hook points they name there and where in the params they stand. */
export type ModelUse = {
  reference: ModelReference;
  pointer: string;
  hooks: { hook: string; pointer: string }[];
  /** What the model must be for; a language model where it is not said. */
  task?: ModelTask;
};
/** A published result or uploaded artefact that params refer to by id. */
export type InputUse = { id: string; pointer: string };

export type JobContract<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> = {
  /** Dotted name, equal to the file's name. */
  readonly type: string;
  readonly summary: string;
  /** Raised when the meaning of params or result changes; part of `input_digest`. */
  readonly version: number;
  readonly scope: Scope;
  /** Strict: unknown fields are refused. Defaults are applied before the digest is taken. */
  readonly params: P;
  readonly result: R;
  /** Names of the numbers that progress carries, with their units. */
  readonly progress: Readonly<Record<string, string>>;
  readonly produces: readonly PublishedKind[];
  models(params: z.output<P>): ModelUse[];
  inputs(params: z.output<P>): InputUse[];
  estimate(params: z.output<P>): Estimate;
  /** How long the job and its unpublished artefacts stay readable, in days. */
  readonly retention_days: number;
  /** Jobs on people's data: input artefacts are deleted 24 h after the end. */
  readonly sensitive_inputs?: boolean;
};

/** Declares a job type; exists for its type inference. */
export const defineJob = <P extends z.ZodType, R extends z.ZodType>(contract: JobContract<P, R>): JobContract<P, R> =>
  contract;
export type ParamsOf<C> = C extends JobContract<infer P, z.ZodType> ? z.output<P> : never;
export type ResultOf<C> = C extends JobContract<z.ZodType, infer R> ? z.output<R> : never;
