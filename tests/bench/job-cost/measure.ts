/** Sends small jobs through an edge with counters and a real worker, one after the other, and says what each cost. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../../../shared/contracts/job.ts';
import { childrenOf, Stack } from '../../end-to-end/support/stack.ts';

type OfClass = {
  requests: number;
  methods: Record<string, number>;
  statements: number;
  read: number;
  written: number;
  stored: number;
  alarms: number;
  alarms_set: number;
};
/** What `counted-edge.js` answers. */
type Counts = {
  worker: number;
  objects: Record<string, OfClass>;
  d1: { calls: number; statements: number; read: number; written: number };
  r2: Record<string, number>;
  kv: Record<string, number>;
  messages: number;
};
/** Of one job, from its POST to its end; CPU in milliseconds. */
export type JobCost = {
  jobs: number;
  worker_requests: number;
  object_requests: number;
  requests_by_class: Record<string, number>;
  ledger_statements: number;
  object_statements: Record<string, number>;
  object_rows: { read: number; written: number };
  d1: { calls: number; statements: number; read: number; written: number };
  alarms: number;
  alarms_set: number;
  r2: Record<string, number>;
  kv: Record<string, number>;
  messages: number;
  cpu_ms: { edge: number; worker: number; computation: number };
};

/** CPU time that a process has taken, in ms: clock ticks are hundredths of a second. */
function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [user = 0, system = 0] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number);
    return 10 * (user + system);
  } catch {
    return 0; // it has ended
  }
}
const cpuBelow = (pid: number): number => childrenOf(pid).reduce((sum, child) => sum + cpuOf(child), 0);

/** Not of the job: a client that looks, and what comes every second while a slow machine works. */
const BESIDE = ['view', 'wait', 'place', 'fetch', 'heartbeat', 'charge'];
/** What follows a job's end: index row, usage, news. */
const AFTER_MS = 1500;

export async function measureJobs(n: number): Promise<JobCost> {
  const stack = await new Stack({ resend_ms: 60_000, entry: join(import.meta.dirname, 'counted-edge.js') }).start();
  try {
    const worker = await stack.startWorker();
    const one = async () => {
      const id = await stack.post({ artefacts: 0 });
      let job: Job;
      do {
        const answer = await stack.call('GET', `/v1/jobs/${id}`, { headers: { prefer: 'wait=30' } });
        job = (await answer.json()) as Job;
      } while (job.status === 'queued' || job.status === 'running');
      if (job.status !== 'succeeded') {
        throw new Error(JSON.stringify(job));
      }
    };
    // what only the first ones cost: keys, caps, processes that start
    await one();
    await one();
    await sleep(AFTER_MS);
    const counts = async () => (await (await stack.call('GET', '/counts')).json()) as Counts;
    await counts();
    const pid = worker.process.pid ?? 0;
    const before = { edge: cpuBelow(stack.edge.pid), worker: cpuOf(pid), computation: cpuBelow(pid) };
    for (let i = 0; i < n; i += 1) {
      await one();
    }
    const cpu_ms = {
      edge: (cpuBelow(stack.edge.pid) - before.edge) / n,
      worker: (cpuOf(pid) - before.worker) / n,
      computation: (cpuBelow(pid) - before.computation) / n,
    };
    await sleep(AFTER_MS);
    return costOf(await counts(), n, cpu_ms);
  } finally {
    await stack.stop();
  }
}

function costOf({ worker, objects, d1, r2, kv, messages }: Counts, n: number, cpu_ms: JobCost['cpu_ms']): JobCost {
  const per = (count: number): number => count / n;
  const all = Object.entries(objects);
  const sum = (of: (one: OfClass) => number): number => per(all.reduce((total, [, one]) => total + of(one), 0));
  const beside = (one: OfClass) => BESIDE.reduce((total, method) => total + (one.methods[method] ?? 0), 0);
  const by = (of: (one: OfClass) => number) => Object.fromEntries(all.map(([name, one]) => [name, per(of(one))]));
  const scaled = (counts: Record<string, number>) =>
    Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, per(count)]));
  return {
    jobs: n,
    worker_requests: per(worker),
    object_requests: sum((one) => one.requests - beside(one)),
    requests_by_class: by((one) => one.requests - beside(one)),
    ledger_statements: per(objects.Ledger?.statements ?? 0),
    object_statements: by((one) => one.statements),
    object_rows: { read: sum((one) => one.read), written: sum((one) => one.written + one.stored + one.alarms_set) },
    d1: { calls: per(d1.calls), statements: per(d1.statements), read: per(d1.read), written: per(d1.written) },
    alarms: sum((one) => one.alarms),
    alarms_set: sum((one) => one.alarms_set),
    r2: scaled(r2),
    kv: scaled(kv),
    messages: per(messages),
    cpu_ms,
  };
}
