/** What passes between the worker process and a computation's process. */
import type { Progress, RunReport } from '../../shared/contracts/job.ts';
import type { Blob, Manifest } from '../../shared/contracts/manifest.ts';
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import type { Claim, JobInput } from '../../shared/contracts/worker-call.ts';
import type { WorkerConfiguration } from '../jobs/handler.ts';
import type { ComputationFailure } from './computation-failure.ts';

export type Order = {
  type: string;
  params: Record<string, unknown>;
  inputs: JobInput[];
  checkpoint: Claim['checkpoint'];
  /** Whose job it is: equal for the jobs of one tenant. */
  owner: string;
  /** Whether somebody follows the job token by token. */
  followed: boolean;
  scratch: string;
  memory: string;
  configuration: WorkerConfiguration;
};

/** A registered artefact and the file that holds its bytes; null where they lie at the edge already. */
export type WrittenArtefact = Blob & { file: string | null };
export type WrittenCheckpoint = { state: Record<string, unknown>; blobs: WrittenArtefact[] };
/** Everything a finished computation leaves behind. */
export type Written = {
  result: Record<string, unknown>;
  metrics: Record<string, number>;
  published: Manifest[];
  run: RunReport;
  artefacts: WrittenArtefact[];
};

export type Report =
  | { kind: 'progress'; progress: Progress }
  | { kind: 'tokens'; piece: TokenPiece }
  | { kind: 'model'; model: ModelDescription }
  | { kind: 'checkpoint'; number: number; checkpoint: WrittenCheckpoint }
  /** `clean`: the process is as it was before the order, and may take another. */
  | { kind: 'done'; written: Written; clean: boolean }
  | ({ kind: 'failed'; clean: boolean } & ComputationFailure);

/** The answer to the checkpoint of this number. */
export type CheckpointAnswer = { kind: 'checkpoint'; number: number; kept: boolean };
/** The attempt will be stopped as soon as the next checkpoint is kept. */
export type Urgency = { kind: 'urgent' };
/** The order is to end between two tokens, if it can. */
export type Stop = { kind: 'stop' };

/** What an order's number in its process goes with: one process may compute several orders at a time. */
export type FromProcess = (Report & { order: number }) | { kind: 'ready' };
export type ToProcess =
  | { kind: 'order'; order: number; what: Order }
  | ((CheckpointAnswer | Urgency | Stop) & { order: number })
  /** Blobs and jobs that their owners have deleted, by digest: nothing of them is kept. */
  | { kind: 'forget'; digests: readonly string[] };
