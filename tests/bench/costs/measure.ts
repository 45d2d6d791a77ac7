/** One job in a process of its own: writes its processor time and its peak of resident memory. `node measure.ts ORDER RESULT` */
import { linkSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { WorkerConfiguration } from '../../../gpu-worker/jobs/handler.ts';
import { JOB_HANDLERS } from '../../../gpu-worker/jobs/index.generated.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { LocalJobs } from '../../support/job-context.ts';

export type Order = {
  type: string;
  params: unknown;
  configuration: Partial<WorkerConfiguration>;
  published: [id: string, manifest: Manifest][];
  /** Their files, named by their digest. */
  files: string[];
};
export type Measured = { cpu_s: number; peak_bytes: number };

if (import.meta.main) {
  const order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Order;
  const jobs = new LocalJobs(order.configuration);
  try {
    for (const [id, manifest] of order.published) {
      jobs.published.set(id, manifest);
    }
    for (const file of order.files) {
      linkSync(file, join(jobs.folder, basename(file)));
    }
    const handler = await JOB_HANDLERS[order.type]?.();
    await handler?.(jobs.context(order.params));
    const { user, system } = process.cpuUsage();
    // The high-water mark of this program alone: getrusage would count what its parent held when it started.
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (!peak) {
      throw new Error('the peak of resident memory is read from Linux /proc');
    }
    const measured: Measured = {
      cpu_s: (user + system) / 1e6,
      peak_bytes: 1024 * Number(peak),
    };
    writeFileSync(process.argv[3] ?? '', JSON.stringify(measured));
  } finally {
    jobs.close();
  }
  // As in the worker, whose computations are ended from outside: some keep threads that wait.
  process.exit(0);
}
