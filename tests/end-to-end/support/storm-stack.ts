/** A stack of its own for a storm, with lines in trouble before its edge. */
import { Stack } from './stack.ts';
import { stopDuringUpload } from './stopped-upload.ts';
import { Storm, type StormOptions, type StormReport } from './storm.ts';
import { TroubledLine } from './troubled-line.ts';

/** `stopped_upload_s`: how long a worker took to end that was told to in the middle of an upload. */
export type Weathered = StormReport & { state_mb_per_job: number; stopped_upload_s: number | null };

export async function stormOver(options: StormOptions): Promise<Weathered> {
  const port = () => Number(new URL(stack.edge.url).port);
  const lines = { client: await new TroubledLine(port).open(), worker: await new TroubledLine(port).open() };
  // uploads and inputs go over the workers' line too
  const stack = new Stack({ vars: { S3_ENDPOINT: `${lines.worker.url}/cdn-cgi/local/r2/s3` } });
  try {
    await stack.start();
    const report = await new Storm(stack, lines, options).run();
    const stopped = await stopDuringUpload(stack, lines.worker).catch((error: unknown) => {
      report.wrong.push(`stopped in an upload: ${String(error)}`);
      return null;
    });
    if (stopped && (stopped.released !== 1 || stopped.job.status !== 'succeeded')) {
      report.wrong.push(`stopped in an upload: released ${stopped.released} times, then ${stopped.job.status}`);
    }
    await stack.stopWorkers();
    await stack.edge.stop();
    const state_mb_per_job = stack.stateBytes() / 1e6 / (options.jobs + 1);
    return { ...report, state_mb_per_job, stopped_upload_s: stopped?.seconds ?? null };
  } finally {
    await stack.stop();
    await Promise.all([lines.client.close(), lines.worker.close()]);
  }
}
