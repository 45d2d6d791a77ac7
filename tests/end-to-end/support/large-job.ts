/** A job that leaves many bytes behind, and what it took to bring them home. */
import type { Job } from '../../../shared/contracts/job.ts';
import { until } from '../../support/until.ts';
import type { Stack } from './stack.ts';
import type { TroubledLine } from './troubled-line.ts';

export type LargeJob = {
  job: Job;
  /** Seconds from its creation to its end, and of those from the first completion on. */
  seconds: { whole: number; promotion: number };
  /** Calls of `complete`: all but the last were answered with how far the promotion is. */
  completions: number;
  /** How often it was handed out. */
  runs: number;
};

/** @param line over which the worker reaches the edge */
export async function runLargeJob(
  stack: Stack,
  line: TroubledLine,
  of: { artefacts: number; bytes: number; limit_ms: number },
): Promise<LargeJob> {
  const began = performance.now();
  let completing = Number.NaN;
  line.trouble = ({ path }) => {
    if (path.endsWith('/complete') && Number.isNaN(completing)) {
      completing = performance.now();
    }
    return 'pass';
  };
  const params = { steps: 1, step_ms: 0, artefacts: of.artefacts, artefact_bytes: of.bytes };
  const id = await stack.post(params, { max_attempts: 1 });
  let job = await stack.job(id);
  await until(
    async () => {
      job = await stack.job(id);
      return job.status === 'succeeded' || job.status === 'failed';
    },
    `${id} to end`,
    of.limit_ms,
  );
  const ended = performance.now();
  return {
    job,
    seconds: { whole: (ended - began) / 1000, promotion: (ended - completing) / 1000 },
    completions: line.count(`${id}/complete`),
    runs: (await stack.statuses(id)).filter(({ status }) => status === 'running').length,
  };
}
