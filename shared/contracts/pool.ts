/** A pool of workers, as its autoscaler looks at it. */
import { z } from 'zod';

export const poolSchema = z.object({
  pool: z.string(),
  waiting: z.number().int().describe('jobs in line, those sent to a queue and not yet claimed among them'),
  running: z.number().int().describe('jobs that a worker has claimed'),
  jobs: z.number().int().describe('waiting and running together: what to scale by, so that no busy worker is spare'),
  workers: z.number().int().describe('workers that announced themselves lately'),
  oldest_wait_s: z.number(),
});
