/**
 * `npm run bench -- promotion [--artefacts 15] [--bytes 200000000] [--lease 30000]`: a job that leaves so many artefacts of so
 * many bytes behind, with a lease that may be shorter than their promotion takes. Prints what it took, and exits 1 where the
 * first attempt did not succeed. Needs four times the bytes on the disk.
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runLargeJob } from '../end-to-end/support/large-job.ts';
import { Stack } from '../end-to-end/support/stack.ts';
import { TroubledLine } from '../end-to-end/support/troubled-line.ts';

const LIMIT_MS = 3_600_000;

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      artefacts: { type: 'string', default: '15' },
      bytes: { type: 'string', default: '200000000' },
      lease: { type: 'string', default: '30000' },
    },
  });
  const [artefacts, bytes] = [Number(values.artefacts), Number(values.bytes)];
  const stack = new Stack({ vars: { LEASE_MS: values.lease } });
  const line = await new TroubledLine(() => Number(new URL(stack.edge.url).port)).open();
  try {
    await stack.start();
    await stack.startWorker({ edge_url: line.url });
    const { job, ...took } = await runLargeJob(stack, line, { artefacts, bytes, limit_ms: LIMIT_MS });
    const { status, attempt, error } = job;
    const host = { cpu: cpus()[0]?.model ?? '', threads: availableParallelism(), node: process.version };
    const asked = { artefacts, bytes, lease_ms: Number(values.lease) };
    console.log(
      JSON.stringify({ host, ...asked, status, attempt, error, kept: job.artefacts.length, ...took }, null, 2),
    );
    process.exitCode = status === 'succeeded' && attempt === 1 && took.runs === 1 ? 0 : 1;
  } finally {
    await stack.stop();
    await line.close();
  }
}
