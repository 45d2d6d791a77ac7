/**
 * `npm run bench -- queueing [--waiting 1000] [--jobs 2000] [--workers 4]`: the fair queue at full size over HTTP, on a real edge
 * and with workers played by signed calls. First, with so many jobs of one tenant waiting, where the only job of another starts;
 * then so many whole jobs while the edge is killed in their midst: none may be lost, and every message leads to one claim. Prints
 * what it saw and exits 1 where it is not that. `tests/end-to-end/fair-queueing.test.ts` does the same small.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { INSERT_KEY, INSERT_WORKER, keyValues, mintKey, mintWorker, workerValues } from '../../edge/keys/mint.ts';
import type { Job } from '../../shared/contracts/job.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import type { CompleteRequest } from '../../shared/contracts/worker-call.ts';
import type { SigningKey } from '../../shared/signing/envelope.ts';
import { signWorkerCall } from '../../shared/signing/worker-call.ts';
import { Stack } from '../end-to-end/support/stack.ts';

type Message = { sub: string; jti: string; input_digest: string };
type Counts = { claimed: string[]; refused: number; completed: Set<string> };

/** Answers of the edge, or null while it is away. */
async function call(stack: Stack, key: SigningKey, path: string, content: unknown, fence: string | null) {
  const body = new TextEncoder().encode(JSON.stringify(content));
  const authorization = await signWorkerCall(key, { method: 'POST', path, body, fence }, Date.now() / 1000);
  const answer = await fetch(`${stack.edge.url}${path}`, { method: 'POST', headers: { authorization }, body }).catch(
    () => null,
  );
  return answer && { ok: answer.ok, body: (await answer.json().catch(() => null)) as Record<string, unknown> | null };
}

async function newWorker(stack: Stack): Promise<SigningKey> {
  const { id, privateJwk, row } = await mintWorker({ pool: 'default', now: Date.now() });
  await stack.edge.execute(INSERT_WORKER, workerValues(row));
  return { kid: id, jwk: privateJwk };
}

/** Pulls, claims and completes until `over`; what fails because the edge is away is left to the ledger to repeat. */
async function work(stack: Stack, key: SigningKey, counts: Counts, over: () => boolean): Promise<void> {
  let announced = 0;
  while (!over()) {
    if (Date.now() - announced > 5000) {
      announced = Date.now();
      await call(stack, key, '/internal/workers/announce', { job: null }, null);
    }
    const pulled = await stack
      .gateway('pull', { batch_size: 1, visibility_timeout_ms: 60_000 })
      .catch(() => ({ result: { messages: [] } }));
    const [delivery] = (pulled.result as { messages?: { lease_id: string; body: string }[] } | null)?.messages ?? [];
    if (!delivery) {
      await sleep(50);
      continue;
    }
    const { jws } = JSON.parse(Buffer.from(delivery.body, 'base64').toString()) as { jws: string };
    const message = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as Message;
    const path = `/internal/jobs/${message.sub}`;
    const claim = await call(stack, key, `${path}/claim`, { dispatch: message.jti, message: jws }, null);
    if (claim?.ok) {
      counts.claimed.push(message.sub);
      const completion: CompleteRequest = {
        input_digest: message.input_digest,
        artefacts: [],
        published: [],
        result: { steps: 1, padding_length: 0, artefact_digests: [] },
        metrics: {},
        run: {
          device: 'bench',
          dtype: 'none',
          seed: null,
          tolerance: null,
          versions: {},
          wall_s: 0,
          peak_rss_bytes: 0,
        },
        models: [],
      };
      const done = await call(stack, key, `${path}/complete`, completion, String(claim.body?.fence));
      if (done?.ok) {
        counts.completed.add(message.sub);
      }
    } else if (claim) {
      counts.refused += 1;
    }
    if (claim) {
      await stack.gateway('ack', { acks: [{ lease_id: delivery.lease_id }], retries: [] }).catch(() => {});
    }
  }
}

async function postMany(stack: Stack, n: number): Promise<string[]> {
  const ids: string[] = [];
  const lane = async () => {
    while (ids.length < n) {
      const place = ids.push('') - 1;
      ids[place] = await stack.post();
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  return ids;
}

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      waiting: { type: 'string', default: '1000' },
      jobs: { type: 'string', default: '2000' },
      workers: { type: 'string', default: '4' },
    },
  });
  const [waiting, jobs, workers] = [values.waiting, values.jobs, values.workers].map(Number) as [
    number,
    number,
    number,
  ];
  const stack = new Stack({ resend_ms: 60_000 });
  await stack.start();
  const counts: Counts = { claimed: [], refused: 0, completed: new Set() };
  let over = false;
  const keys: SigningKey[] = [];
  let working: Promise<void>[] = [];
  try {
    for (let i = 0; i < workers; i += 1) {
      keys.push(await newWorker(stack));
    }
    const began = Date.now();
    const first = await postMany(stack, waiting);
    console.log(`${waiting} jobs posted in ${((Date.now() - began) / 1000).toFixed(0)} s`);
    const { text, row } = await mintKey({ tenant: 'other', name: 'other', scopes: SCOPES, now: Date.now() });
    await stack.edge.execute(INSERT_KEY, keyValues(row));
    working = keys.map((key) => work(stack, key, counts, () => over));
    while (counts.claimed.length < 3 * workers) {
      await sleep(20);
    }
    const answer = await stack.call('POST', '/v1/jobs', {
      body: { type: 'diagnostics.run', params: { steps: 1, step_ms: 0 } },
      headers: { authorization: `Bearer ${text}`, 'idempotency-key': 'other' },
    });
    const before = counts.claimed.length;
    const { id } = (await answer.json()) as Job;
    while (!counts.claimed.includes(id)) {
      await sleep(20);
    }
    const place = counts.claimed.indexOf(id) + 1 - before;
    console.log(`the other tenant's job was claimed as number ${place} after it was posted (at most ${workers + 1})`);

    const rest = await postMany(stack, Math.max(0, jobs - waiting));
    console.log(`${counts.completed.size} completed; the edge is killed`);
    await stack.edge.stop('SIGKILL');
    await stack.startEdge();
    const all = [...first, ...rest, id];
    const end = Date.now() + 600_000;
    let open = all;
    while (open.length > 0 && Date.now() < end) {
      await sleep(1000);
      const rows = await stack.edge.execute("SELECT id FROM jobs WHERE status = 'succeeded'");
      const ended = new Set(rows.map((one) => one.id));
      open = all.filter((one) => !ended.has(one));
    }
    const doubled = counts.claimed.length - new Set(counts.claimed).size;
    console.log(
      `${all.length - open.length} of ${all.length} jobs succeeded in ${((Date.now() - began) / 1000).toFixed(0)} s; ` +
        `${counts.claimed.length} claims, ${doubled} of them repeats after the kill, ${counts.refused} messages refused`,
    );
    process.exitCode = open.length === 0 && place <= workers + 1 ? 0 : 1;
  } finally {
    over = true;
    await Promise.all(working);
    await stack.stop();
  }
}
