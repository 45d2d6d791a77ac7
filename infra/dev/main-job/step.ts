/** One step of the main job: a job run through the public API with a progress bar. */

import { type Job, type JobType, ProgressBar, type Sextant } from '../../../edge/client/index.ts';
import type { JobContract, ResultOf } from '../../../shared/jobs/contract.ts';

/** Runs a job of this contract and returns its result; `told` makes the line that stays. Raises JobFailedError when it fails. */
export async function step<C extends JobContract>(
  client: Sextant,
  contract: C,
  params: Record<string, unknown>,
  told: (result: ResultOf<C>) => string,
  { reuse = false }: { reuse?: boolean } = {},
): Promise<ResultOf<C>> {
  const bar = new ProgressBar(contract.type, process.stdout);
  // a contract's own type is one of those that there are, and the service checks the params
  const [type, checked] = [contract.type as JobType, params as never];
  const earlier = reuse ? await sameWork(client, type, checked) : null;
  const job = earlier ?? (await client.jobs.runJob(type, checked, { onProgress: (progress) => bar.update(progress) }));
  const result = job.result as ResultOf<C>;
  bar.done(`${earlier ? '(from an earlier run) ' : ''}${told(result)}`);
  for (const warning of warningsOf(result)) {
    console.log(`  warning: ${warning}`);
  }
  return result;
}

/** An earlier job that did exactly this work, if it can still be read. */
async function sameWork(client: Sextant, type: JobType, params: never): Promise<Job | null> {
  const { input_digest } = await client.jobs.estimate(type, params);
  const { data } = await client.jobs.list({ type, status: 'succeeded', limit: 100 });
  const found = data.find((job) => job.input_digest === input_digest);
  return found ? client.jobs.get(found.id) : null;
}

/** A job may succeed and have something to warn of. */
const warningsOf = (result: unknown): readonly unknown[] =>
  typeof result === 'object' && result !== null && 'warnings' in result && Array.isArray(result.warnings)
    ? result.warnings
    : [];
