/** What passes between the inbox process and a computation's process. */
import type { Progress, RunReport } from '../../shared/contracts/job.ts';
import type { ModelDescription } from '../../shared/contracts/model.ts';
import type { Blob, Manifest } from '../../shared/contracts/thing.ts';
import type { JobInput } from '../../shared/contracts/worker-call.ts';
import type { WorkerConfiguration } from '../jobs/handler.ts';

export type Order = {
  type: string;
  params: Record<string, unknown>;
  inputs: JobInput[];
  scratch: string;
  configuration: WorkerConfiguration;
};

/** A registered artefact and the file that holds its bytes. */
export type WrittenArtefact = Blob & { file: string };
/** Everything a finished computation leaves behind. */
export type Written = {
  result: Record<string, unknown>;
  metrics: Record<string, number>;
  things: Manifest[];
  run: RunReport;
  artefacts: WrittenArtefact[];
};

export type Report =
  | { kind: 'progress'; progress: Progress }
  | { kind: 'model'; model: ModelDescription }
  | { kind: 'done'; written: Written }
  | { kind: 'failed'; code: string; detail: string; retryable: boolean };
