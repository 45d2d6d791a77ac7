/** A worker that is told to stop in the middle of an upload that never ends of itself, and what becomes of its job. */
import type { Job } from '../../../shared/contracts/job.ts';
import { until } from '../../support/until.ts';
import type { Stack } from './stack.ts';
import type { TroubledLine } from './troubled-line.ts';

/** `released`: how often the worker gave the job back; `seconds` from SIGTERM to its end; `job` as the next worker ended it. */
export type StoppedUpload = { released: number; seconds: number; job: Job };

/** @param line over which workers reach the edge and put what they upload */
export async function stopDuringUpload(stack: Stack, line: TroubledLine): Promise<StoppedUpload> {
  const before = line.seen.length;
  line.trouble = ({ method }) => (method === 'PUT' ? 'hang' : 'pass');
  const worker = await stack.startWorker({ edge_url: line.url });
  // of the lane that does not stand back behind whatever else the machine computes
  const params = { steps: 1, step_ms: 0, artefacts: 1, seed: 4, lane: 'interactive' };
  const id = await stack.post(params, { max_attempts: 1 });
  await until(() => line.seen.slice(before).some(({ trouble }) => trouble === 'hang'), 'an upload');
  const began = performance.now();
  await worker.end('SIGTERM');
  const seconds = (performance.now() - began) / 1000;
  stack.workers.splice(stack.workers.indexOf(worker), 1);
  line.trouble = () => 'pass';
  await stack.startWorker({ edge_url: line.url });
  return { released: worker.count('released'), seconds, job: await stack.ended(id) };
}
