/**
 * The interface between a job handler and what surrounds it. A handler runs in a child process of its own: it reads
 * params and inputs, writes artefacts into the attempt's scratch folder and returns an outcome; the worker process
 * uploads, completes, and kills the child on cancellation, loss of the lease or a memory limit.
 */

import type { Progress } from '../../shared/contracts/job.ts';
import type { Blob, Manifest } from '../../shared/contracts/manifest.ts';
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import type { JobContract, ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import type { BlobContent, Checkpoints } from '../study/index.ts';
import type { Standing } from './standing.ts';

/** What the operator configures; never part of a job's params. */
export type WorkerConfiguration = {
  device: 'auto' | 'cpu' | 'webgpu' | 'cuda';
  /** Threads for onnxruntime. */
  threads: number;
  /** Model aliases: name -> folder in Hugging Face layout. */
  models: Readonly<Record<string, string>>;
  /** Corpus aliases: name -> file. */
  corpora: Readonly<Record<string, string>>;
  /** Hub endpoints: name -> address and token. */
  hubs: Readonly<Record<string, { endpoint: string; token?: string }>>;
  /** Cache of downloads, by digest or commit. */
  cache: string;
  memory_limit_bytes: number;
  /** Whether jobs may publish models whose refusal was removed. */
  allow_ablated_models?: boolean;
};

/** A published result or artefact named in the params: its manifest and, on demand, local files of its blobs (digest-checked). */
export type HandlerInput = {
  manifest: Manifest | null;
  blobs: readonly Blob[];
  /** Path of the local copy of the blob. Raises SextantError `artefact_mismatch` when the bytes do not fit the digest. */
  file(name: string): Promise<string>;
};

export type JobContext<P> = {
  params: P;
  configuration: WorkerConfiguration;
  /** A folder of this attempt alone, deleted afterwards. */
  scratch: string;
  /** A folder of this job alone, not there at first: kept on this worker between its attempts, until the job is deleted. */
  memory: string;
  /** What outlives the job in its process; none where a process computes one job alone. */
  standing?: Standing;
  /** Whose job it is: equal for the jobs of one tenant, to whom alone what a process keeps of texts is known. */
  owner?: string;
  /** Aborted where the job is to end between two tokens, so that others in its process go on. */
  stopping?: AbortSignal;
  /** By the id that stands in the params. Raises SextantError `input_not_found` for an id the claim did not carry. */
  input(id: string): HandlerInput;
  progress(progress: Progress): void;
  /** Takes what was generated on the way to those who follow the job; null where nobody does. */
  tellTokens: ((piece: TokenPiece) => void) | null;
  /** Registers what is to be uploaded when the job completes. */
  artefact(name: string, mediaType: string, content: BlobContent): Promise<Blob>;
  checkpoint: Checkpoints;
  /** Tells the edge what the model looks like, so that wrong hooks are refused at once from now on. */
  describeModel(description: ModelDescription): void;
};

export type JobOutcome<R> = {
  result: R;
  /** What the job publishes; their blobs were registered by `artefact`. */
  published: Manifest[];
  /** Numbers for dashboards. */
  metrics: Record<string, number>;
  run: {
    device: string;
    dtype: string;
    seed: number | null;
    tolerance: string | null;
    versions?: Record<string, string>;
  };
};

export type Handler<P = unknown, R = unknown> = (context: JobContext<P>) => Promise<JobOutcome<R>>;

/** Declares the handler of a contract; exists for its type inference. */
export const handle = <C extends JobContract>(
  _contract: C,
  run: (context: JobContext<ParamsOf<C>>) => Promise<JobOutcome<ResultOf<C>>>,
): Handler => run as Handler;
