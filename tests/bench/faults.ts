/**
 * `npm run bench -- faults [--jobs 1600] [--seed 1] [--workers 2] [--every 6000] [--write]`: the storm as a command. Jobs are posted
 * through lines that refuse, lose, cut and fail one answer in eight, while workers, computations, the edge and the line are
 * killed or cut in turn, one about every so many milliseconds. Then ledger, list, artefacts, digests, keys, queue and
 * processes are reconciled, and a worker is told to stop in the middle of an upload. Prints what it saw and exits 1 where
 * anything is not right, also where nothing happened any more for five minutes; `--write` keeps it among the results.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stormOver } from '../end-to-end/support/storm-stack.ts';

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      jobs: { type: 'string', default: '1600' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
      every: { type: 'string', default: '6000' },
      write: { type: 'boolean', default: false },
    },
  });
  const [jobs, seed, workers, every_ms] = [values.jobs, values.seed, values.workers, values.every].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const { kills, wrong, ...report } = await stormOver({ seed, jobs, workers, every_ms });
  const figures = {
    host: { cpu: cpus()[0]?.model ?? '', threads: availableParallelism(), node: process.version },
    ...report,
    wrong: wrong.length,
    kills: Object.entries(kills).map(([part, times]) => ({ part, times })),
  };
  console.log(JSON.stringify(figures, null, 2));
  for (const what of wrong) {
    console.log(`WRONG: ${what}`);
  }
  if (values.write) {
    writeFileSync(join(import.meta.dirname, 'results/faults.json'), `${JSON.stringify(figures, null, 2)}\n`);
  }
  process.exitCode = wrong.length > 0 ? 1 : 0;
}
