/** What a storm has to have left: every job with the end it was posted for, told once, listed as it is, its bytes whole; and nothing else. */
import { createHash } from 'node:crypto';
import type { Job } from '../../../shared/contracts/job.ts';
import { until } from '../../support/until.ts';
import { childrenOf, isAlive, type Stack } from './stack.ts';

export type Fate = 'succeeded' | 'failed' | 'canceled';
export type Planned = { key: string; fate: Fate; params: Record<string, unknown>; id: string | null };
export type Reconciled = {
  /** Everything that was not as it has to be. */
  wrong: string[];
  counts: Record<Fate, number>;
  attempts: number;
  most_attempts: number;
};
/** Posts a job again under its key; answers the id. */
type Post = (planned: Planned) => Promise<string>;

/** Jobs that are looked at at a time. */
const LANES = 6;

/** Compares list, ledgers, frames, artefacts, digests, keys, queue, staging and processes with what was planned. Ends the workers. */
export async function reconcile(stack: Stack, plan: readonly Planned[], post: Post): Promise<Reconciled> {
  const wrong: string[] = [];
  const posted = plan.flatMap(({ id }) => id ?? []);
  if (posted.length < plan.length) {
    wrong.push(`${plan.length - posted.length} jobs could not be posted`);
  }
  if (new Set(posted).size !== posted.length) {
    wrong.push('two keys name one job');
  }
  const listed = await stack.edge.execute('SELECT id, status FROM jobs');
  if (listed.length !== posted.length) {
    wrong.push(`${listed.length} jobs are listed, ${posted.length} were posted`);
  }
  const indexed = new Map(listed.map((row) => [row.id, row.status]));
  const counts: Reconciled['counts'] = { succeeded: 0, failed: 0, canceled: 0 };
  let [attempts, most_attempts] = [0, 0];
  const waiting = plan.filter(({ id }) => id !== null);
  const lane = async () => {
    for (let planned = waiting.pop(); planned; planned = waiting.pop()) {
      const job = await stack.job(planned.id ?? '');
      attempts += job.attempt;
      most_attempts = Math.max(most_attempts, job.attempt);
      if (job.status === 'queued' || job.status === 'running') {
        wrong.push(`${job.id}: ${job.status} still, at attempt ${job.attempt}: ${JSON.stringify(job.error)}`);
        continue;
      }
      counts[job.status] += 1;
      for (const what of await faultsOf(stack, planned, job, String(indexed.get(job.id)), post)) {
        wrong.push(`${job.id}: ${what}`);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  wrong.push(...(await leftovers(stack)));
  return { wrong, counts, attempts, most_attempts };
}

/** What is not right with one job: its end, its index row, its frames, its artefacts, its key. */
async function faultsOf(stack: Stack, planned: Planned, job: Job, indexed: string, post: Post): Promise<string[]> {
  const wrong: string[] = [];
  if (job.status !== planned.fate) {
    wrong.push(`${job.status} instead of ${planned.fate}: ${JSON.stringify(job.error)}`);
  }
  if (indexed !== job.status) {
    wrong.push(`the list says ${indexed}, the ledger ${job.status}`);
  }
  const frames = (await stack.statuses(job.id)).map(({ status }) => status);
  if (frames.filter((one) => one === job.status).length !== 1 || frames.at(-1) !== job.status) {
    wrong.push(`its frames are ${frames.join(', ')}`);
  }
  if ((await post(planned)) !== job.id) {
    wrong.push('its key names another job');
  }
  if (job.status === 'succeeded') {
    const { artefacts } = planned.params as { artefacts: number };
    const digests = (job.result?.artefact_digests ?? []) as string[];
    if (job.artefacts.length !== artefacts || digests.length !== artefacts) {
      wrong.push(`${job.artefacts.length} artefacts instead of ${artefacts}`);
    }
    for (const { id, sha256 } of job.artefacts) {
      const bytes = new Uint8Array(await (await stack.call('GET', `/v1/artefacts/${id}`)).arrayBuffer());
      if (createHash('sha256').update(bytes).digest('hex') !== sha256 || !digests.includes(sha256)) {
        wrong.push(`the bytes of ${id} are not those of its digest`);
      }
    }
  }
  return wrong;
}

/** What a storm must not leave: rows of artefacts without a job that shows them, messages, processes. */
async function leftovers(stack: Stack): Promise<string[]> {
  const wrong: string[] = [];
  const [row] = await stack.edge.execute(
    `SELECT count(*) AS n FROM artefacts WHERE job IS NOT NULL
       AND job NOT IN (SELECT id FROM jobs WHERE status = 'succeeded')`,
  );
  if (row?.n !== 0) {
    wrong.push(`${row?.n} artefacts belong to jobs that did not succeed`);
  }
  const reserved = await stack.edge.execute(
    `SELECT count(*) AS n FROM artefacts a WHERE NOT EXISTS (
       SELECT 1 FROM blobs b WHERE b.tenant = a.tenant AND b.sha256 = a.sha256 AND b.state = 'stored')`,
  );
  if (reserved[0]?.n !== 0) {
    wrong.push(`${reserved[0]?.n} artefacts have no stored bytes`);
  }
  const left = async () =>
    (
      (await stack.gateway('pull', { batch_size: 1, visibility_timeout_ms: 0 })).result as {
        message_backlog_count: number;
      }
    ).message_backlog_count;
  await until(async () => (await left()) === 0, 'the queue to be empty', 90_000).catch((error: Error) =>
    wrong.push(error.message),
  );
  wrong.push(...(await stagingLeft(stack)));
  const children = stack.workers.flatMap(({ process: { pid } }) => [pid ?? 0, ...childrenOf(pid ?? 0)]);
  await stack.stopWorkers();
  await until(() => !children.some(isAlive), 'processes to end', 10_000).catch((error: Error) =>
    wrong.push(error.message),
  );
  return wrong;
}

/**
 * What attempts that died have staged is all known to the clean-up: a day later, at the edge's next start, none of it is
 * left, and of what jobs show everything is.
 */
async function stagingLeft(stack: Stack): Promise<string[]> {
  const { edge } = stack;
  const shown = (await edge.execute("SELECT count(*) AS n FROM artefacts WHERE state = 'stored'"))[0]?.n;
  await edge.execute('UPDATE staging SET touched_at = 0');
  await edge.stop();
  await stack.startEdge();
  const left = async () => {
    const rows = await stack.edge.execute('SELECT count(*) AS n FROM staging');
    return Number(rows[0]?.n) + (await stack.storedKeys('/staging/')).length;
  };
  const wrong: string[] = [];
  await until(async () => (await left()) === 0, 'staging to be empty', 60_000).catch((error: Error) =>
    wrong.push(error.message),
  );
  const digests = await stack.edge.execute("SELECT DISTINCT sha256 FROM artefacts WHERE state = 'stored'");
  const bytes = new Set((await stack.storedKeys('/blob/')).map((key) => key.split('/').at(-1)));
  const after = (await stack.edge.execute("SELECT count(*) AS n FROM artefacts WHERE state = 'stored'"))[0]?.n;
  if (after !== shown || !digests.every(({ sha256 }) => bytes.has(String(sha256)))) {
    wrong.push('the clean-up took bytes that jobs show');
  }
  return wrong;
}
