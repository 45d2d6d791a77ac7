/** States what ran a job, so that its numbers can be reproduced. */
import { createRequire } from 'node:module';
import type { RunReport } from '../../shared/contracts/job.ts';
import type { JobOutcome } from '../jobs/handler.ts';

const require = createRequire(import.meta.url);
const versionOf = (name: string): string => (require(`${name}/package.json`) as { version: string }).version;

export const runReport = (
  run: JobOutcome<unknown>['run'],
  { wall_s, peak_rss_bytes }: { wall_s: number; peak_rss_bytes: number },
  quantised_models: NonNullable<RunReport['quantised_models']> = [],
): RunReport => ({
  device: run.device,
  dtype: run.dtype,
  seed: run.seed,
  tolerance: run.tolerance,
  versions: {
    sextant: (require('../../package.json') as { version: string }).version,
    node: process.versions.node,
    'onnxruntime-node': versionOf('onnxruntime-node'),
    ...run.versions,
  },
  wall_s,
  peak_rss_bytes,
  quantised_models,
});
