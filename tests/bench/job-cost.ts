/**
 * `npm run bench -- job-cost [--jobs 100] [--save]`: what a small job costs, from its POST to its end: one step of `diagnostics.run`
 * without an artefact, one after the other, through a real edge with counters and a real worker. Requests to objects, SQL statements,
 * D1, alarms, R2, KV, messages, CPU, and the price of a million such jobs by the platform's list.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type JobCost, measureJobs } from './job-cost/measure.ts';

/**
 * US dollars a million, of the paid plan beyond what it includes: https://developers.cloudflare.com/workers/platform/pricing/,
 * .../durable-objects/platform/pricing/, .../d1/platform/pricing/, .../queues/platform/pricing/. Milliseconds of CPU alike.
 */
const LIST = {
  worker_request: 0.3,
  worker_cpu_ms: 0.02,
  object_request: 0.15,
  row_read: 0.001,
  row_written: 1,
  queue_operation: 0.4,
};
/** A message is written, read and deleted. */
const OPERATIONS_A_MESSAGE = 3;
const TARGETS: Record<string, number> = {
  'SQL statements in the ledger': 30,
  'D1 statements': 4,
  'object requests': 6,
  alarms: 1.2,
  messages: 1,
};

/** Of a million jobs, in US dollars; the duration of objects and the device's own time are not in it. */
function priceOf({ worker_requests, object_requests, object_rows, d1, messages, cpu_ms }: JobCost): number {
  return (
    worker_requests * LIST.worker_request +
    cpu_ms.edge * LIST.worker_cpu_ms +
    object_requests * LIST.object_request +
    (object_rows.read + d1.read) * LIST.row_read +
    (object_rows.written + d1.written) * LIST.row_written +
    messages * OPERATIONS_A_MESSAGE * LIST.queue_operation
  );
}

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: { jobs: { type: 'string', default: '100' }, save: { type: 'boolean', default: false } },
  });
  const load_before = loadavg()[0];
  const cost = await measureJobs(Number(values.jobs));
  const counted = Object.entries({
    'SQL statements in the ledger': cost.ledger_statements,
    'D1 statements': cost.d1.statements,
    'D1 calls': cost.d1.calls,
    'object requests': cost.object_requests,
    alarms: cost.alarms,
    messages: cost.messages,
  }).map(([what, a_job]) => ({ what, a_job, target: TARGETS[what] ?? null }));
  for (const { what, a_job, target } of counted) {
    const missed = target !== null && a_job > target ? '  MISSED' : '';
    console.log(`${what.padEnd(30)} ${a_job.toFixed(2).padStart(7)}  target ${target ?? 'none'}${missed}`);
  }
  const objects = Object.entries(cost.requests_by_class).map(([name, requests]) => ({
    class: name,
    requests,
    statements: cost.object_statements[name] ?? 0,
  }));
  const { requests_by_class: _requests, object_statements: _statements, ...beside } = cost;
  const result = {
    host: { cpu: cpus()[0]?.model, threads: cpus().length, node: process.version },
    load_before,
    jobs: cost.jobs,
    dollars_a_million: priceOf(cost),
    counted,
    objects,
    cpu_ms_a_job: Object.entries(cost.cpu_ms).map(([process, ms]) => ({ process, ms })),
    beside,
  };
  console.log(JSON.stringify(result, null, 2));
  if (values.save) {
    writeFileSync(join(import.meta.dirname, 'results/job-cost.json'), `${JSON.stringify(result, null, 2)}\n`);
  }
}
