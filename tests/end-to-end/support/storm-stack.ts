/** A stack of its own for a storm, with lines in trouble before its edge. */
import { Stack } from './stack.ts';
import { Storm, type StormOptions, type StormReport } from './storm.ts';
import { TroubledLine } from './troubled-line.ts';

export async function stormOver(options: StormOptions): Promise<StormReport & { state_mb_per_job: number }> {
  const port = () => Number(new URL(stack.edge.url).port);
  const lines = { client: await new TroubledLine(port).open(), worker: await new TroubledLine(port).open() };
  // uploads and inputs go over the workers' line too
  const stack = new Stack({ vars: { S3_ENDPOINT: `${lines.worker.url}/cdn-cgi/local/r2/s3` } });
  try {
    await stack.start();
    const report = await new Storm(stack, lines, options).run();
    await stack.edge.stop();
    return { ...report, state_mb_per_job: stack.stateBytes() / 1e6 / options.jobs };
  } finally {
    await stack.stop();
    await Promise.all([lines.client.close(), lines.worker.close()]);
  }
}
