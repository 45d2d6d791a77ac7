/** One step of the main job: a job run through the public API with a progress bar. */
import type { JobContract, ResultOf } from '../../../shared/jobs/contract.ts';
import type { Client } from '../client.ts';
import { ProgressBar } from '../progress-bar.ts';

/** Runs a job of this contract and returns its result; `told` makes the line that stays. Raises ApiError when it fails. */
export async function step<C extends JobContract>(
  client: Client,
  contract: C,
  params: Record<string, unknown>,
  told: (result: ResultOf<C>) => string,
  { reuse = false }: { reuse?: boolean } = {},
): Promise<ResultOf<C>> {
  const bar = new ProgressBar(contract.type);
  const earlier = reuse ? await client.sameWork(contract.type, params) : null;
  const job = earlier ?? (await client.run(contract.type, params, (progress) => bar.update(progress)));
  const result = job.result as ResultOf<C>;
  bar.done(`${earlier ? '(from an earlier run) ' : ''}${told(result)}`);
  for (const warning of warningsOf(result)) {
    console.log(`  warning: ${warning}`);
  }
  return result;
}

/** A job may succeed and have something to warn of. */
const warningsOf = (result: unknown): readonly unknown[] =>
  typeof result === 'object' && result !== null && 'warnings' in result && Array.isArray(result.warnings)
    ? result.warnings
    : [];
