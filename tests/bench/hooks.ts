/**
 * `npm run bench -- hooks [--deliveries N] [--events N] [--minutes M] [--save]`: what a verified inbound delivery costs beside a
 * bare Worker that checks the same HMAC and stores one row; what hanging endpoints cost the healthy ones; and whether every
 * accepted delivery of a load ends in exactly one run. Every comparison is with its own baseline of the same run; about eight
 * minutes, five of them the load.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { INSERT_KEY, keyValues, mintKey } from '../../edge/keys/mint.ts';
import { type EdgeProcess, startEdge } from '../../infra/dev/edge-process.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { freePort } from '../support/free-port.ts';
import { newSigningKey } from '../support/signing-key.ts';
import { descendantJiffies } from './hooks/cpu.ts';

const SECRET = 'a secret of the bench';
const ENDPOINTS = 50;
const HANGING = 5;
const TURNS = 2;

type Client = { call(method: string, path: string, body?: unknown): Promise<unknown> };
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** A push of `revision`, signed, as GitHub sends it. Hooks of this bench listen to `main`: another branch starts nothing. */
function signedPush(revision: string, branch = 'main'): { body: string; headers: Record<string, string> } {
  const body = JSON.stringify({
    ref: `refs/heads/${branch}`,
    before: '0'.repeat(40),
    after: revision,
    repository: { full_name: 'octo/model' },
    commits: Array.from({ length: 8 }, (_, i) => ({
      id: revision,
      message: `commit ${i} of a push`,
      modified: ['model.safetensors'],
    })),
  });
  const signature = createHmac('sha256', SECRET).update(body).digest('hex');
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${signature}`,
    },
  };
}
const revisionOf = (n: number): string => n.toString(16).padStart(40, 'a');

/** Posts and answers the status; a kept connection that the other side has just closed is not an answer. */
async function post(address: string, push: { body: string; headers: Record<string, string> }): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const answer = await fetch(address, { method: 'POST', ...push }).catch((error: unknown) => {
      if (tries === 5) {
        throw error;
      }
      return null;
    });
    if (!answer) {
      continue;
    }
    const text = await answer.text();
    if (answer.status !== 202) {
      throw new Error(`${answer.status}: ${text}`);
    }
    return;
  }
}

async function inTurn(total: number, at_once: number, one: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let n = next++; n < total; n = next++) {
      await one(n);
    }
  };
  await Promise.all(Array.from({ length: at_once }, lane));
}

/** CPU of a delivery in microseconds, mean over `n` after a warm-up. */
async function cpuOf(
  address: string,
  pid: number,
  { n, first, branch }: { n: number; first: number; branch: string },
): Promise<number> {
  const send = (i: number) => post(address, signedPush(revisionOf(first + i), branch));
  await inTurn(100, 8, (i) => send(i));
  const before = descendantJiffies(pid);
  await inTurn(n, 8, (i) => send(100 + i));
  return ((descendantJiffies(pid) - before) * 10_000) / n;
}

/** Waits until the edge has nothing to do any more, or for a minute. */
async function quiet(pid: number): Promise<void> {
  for (let tries = 0; tries < 30; tries += 1) {
    const before = descendantJiffies(pid);
    await sleep(2000);
    if (descendantJiffies(pid) - before < 20) {
      return;
    }
  }
}

/** The bare Worker behind one that passes requests on, as the gateway of the development stack stands before the edge. */
async function startBare(folder: string): Promise<{ origin: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const script = (path: string, contents: string) => ({
    modules: [{ type: 'ESModule' as const, path, contents }],
    modulesRoot: '/',
  });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port,
      cf: false,
      resourcePersistencePath: folder,
      workers: [
        {
          name: 'before',
          compatibilityDate: '2026-11-01',
          serviceBindings: { NEXT: 'bare' },
          ...script('before.js', 'export default { fetch: (request, env) => env.NEXT.fetch(request) };'),
        },
        {
          name: 'bare',
          compatibilityDate: '2026-11-01',
          d1Databases: { DB: 'bare' },
          ...script('bare.js', readFileSync(join(import.meta.dirname, 'hooks/bare.js'), 'utf8')),
        },
      ],
    }),
  );
  await miniflare.ready;
  return { origin: `http://127.0.0.1:${port}`, stop: () => miniflare.dispose() };
}

async function clientOf(edge: EdgeProcess): Promise<Client> {
  const limits = { jobs: 1e6, reads: 1e6, writes: 1e6 };
  const { text, row } = await mintKey({ tenant: 'bench', name: 'bench', scopes: SCOPES, limits, now: Date.now() });
  await edge.execute(INSERT_KEY, keyValues(row));
  return {
    async call(method, path, body) {
      const answer = await fetch(`${edge.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${text}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!answer.ok) {
        throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      }
      return answer.status === 204 ? null : answer.json();
    },
  };
}

async function newHook(client: Client): Promise<{ id: string; path: string }> {
  const steps = [{ id: 'only', type: 'diagnostics.run', params: { steps: 1 } }];
  const { id } = (await client.call('POST', '/v1/recipes', { name: 'bench', steps })) as { id: string };
  return (await client.call('POST', '/v1/inbound-hooks', {
    name: 'bench',
    provider: 'github',
    recipe: id,
    secret: SECRET,
  })) as { id: string; path: string };
}

type Delivery = { id: string; run: string | null; outcome: string };
async function allDeliveries(client: Client, hook: string): Promise<Delivery[]> {
  const all: Delivery[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = (await client.call(
      'GET',
      `/v1/inbound-hooks/${hook}/deliveries?limit=100${cursor ? `&cursor=${cursor}` : ''}`,
    )) as { data: Delivery[]; next_cursor: string | null };
    all.push(...page.data);
    cursor = page.next_cursor;
  }
  return all;
}

/** Delays in ms from a test event's creation to its arrival at healthy endpoints. */
async function delays(client: Client, events: number, hanging: number): Promise<number[]> {
  const found: number[] = [];
  const receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      if (request.url === '/hang') {
        return;
      }
      found.push(Date.now() - Date.parse((JSON.parse(body) as { timestamp: string }).timestamp));
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const ids: string[] = [];
  for (let i = 0; i < ENDPOINTS; i += 1) {
    const made = (await client.call('POST', '/v1/webhook-endpoints', {
      address: `${address}/${i < hanging ? 'hang' : i}`,
    })) as { id: string };
    ids.push(made.id);
  }
  const healthy = ids.slice(hanging);
  // the same number of events for the healthy ones in both, spread over all endpoints
  for (const id of ids.slice(0, hanging)) {
    for (let i = 0; i < events / ENDPOINTS; i += 1) {
      await client.call('POST', `/v1/webhook-endpoints/${id}/test`);
    }
  }
  const wanted = Math.floor((events / ENDPOINTS) * healthy.length);
  await inTurn(wanted, 8, async (n) => {
    await client.call('POST', `/v1/webhook-endpoints/${healthy[n % healthy.length]}/test`);
  });
  for (let i = 0; i < 600 && found.length < wanted; i += 1) {
    await sleep(100);
  }
  if (found.length < wanted) {
    throw new Error(`${found.length} of ${wanted} events arrived`);
  }
  for (const id of ids) {
    await client.call('DELETE', `/v1/webhook-endpoints/${id}`);
  }
  receiver.closeAllConnections();
  receiver.close();
  return found;
}

/** Deliveries a second of the load; each push comes three times. */
const RATE = 10;
/** How long the last runs may take to begin after the load. */
const DRAIN_MS = 120_000;

/** Deliveries for so long; then each accepted one is matched to its run. */
async function reconcile(edge: EdgeProcess, client: Client, minutes: number) {
  const hook = await newHook(client);
  const total = Math.round(minutes * 60 * RATE);
  const began = Date.now();
  await inTurn(total, 4, async (n) => {
    await sleep(Math.max(0, began + (1000 * n) / RATE - Date.now()));
    await post(`${edge.url}${hook.path}`, signedPush(revisionOf(1_000_000 + Math.floor(n / 3))));
  });
  const ended = Date.now();
  let deliveries: Delivery[] = [];
  do {
    await sleep(5000);
    deliveries = await allDeliveries(client, hook.id);
  } while (deliveries.some(({ run }) => run === null) && Date.now() < ended + DRAIN_MS);
  const runs = new Set(deliveries.map(({ run }) => run).filter((run) => run !== null));
  return {
    seconds: (ended - began) / 1000,
    sent: total,
    stored: deliveries.length,
    pushes: Math.ceil(total / 3),
    runs: runs.size,
    without: deliveries.filter(({ run }) => run === null).length,
  };
}

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      deliveries: { type: 'string', default: '1000' },
      events: { type: 'string', default: '1000' },
      minutes: { type: 'string', default: '5' },
      save: { type: 'boolean', default: false },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'sextant-hooks-'));
  const load_before = loadavg()[0];
  const edge = await startEdge({
    port: await freePort(),
    data: join(folder, 'edge'),
    vars: {
      SIGNING_KEYS: JSON.stringify({ keys: [(await newSigningKey('bench')).jwk] }),
      WEBHOOK_KEY: 'bench',
      WEBHOOK_ALLOW_LOOPBACK: '1',
    },
  });
  const bare = await startBare(join(folder, 'bare'));
  try {
    const client = await clientOf(edge);
    const n = Number(values.deliveries);
    // up to the answer: pushes of another branch are verified, stored and answered alike, but begin no run behind it
    const rounds: { bare_us: number; edge_us: number; ratio: number; with_runs_us: number }[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { path } = await newHook(client);
      const of = { n, first: round * 100_000 };
      const bare_us = await cpuOf(bare.origin, process.pid, { ...of, branch: 'other' });
      const edge_us = await cpuOf(`${edge.url}${path}`, edge.pid, { ...of, branch: 'other' });
      const with_runs_us = await cpuOf(`${edge.url}${path}`, edge.pid, {
        ...of,
        n: Math.ceil(n / 10),
        branch: 'main',
      });
      rounds.push({ bare_us, edge_us, ratio: edge_us / bare_us, with_runs_us });
      console.log(rounds.at(-1));
      // what the runs still do must not be counted for the next round
      await quiet(edge.pid);
    }
    const [plain, beside]: [number[], number[]] = [[], []];
    // in turns, since a machine's pace changes
    for (let turn = 0; turn < TURNS; turn += 1) {
      await quiet(edge.pid);
      plain.push(...(await delays(client, Number(values.events) / TURNS, 0)));
      beside.push(...(await delays(client, Number(values.events) / TURNS, HANGING)));
    }
    const delivery = {
      median_ms: median(plain),
      beside_hanging_ms: median(beside),
      ratio: median(beside) / median(plain),
    };
    console.log(delivery);
    const load = await reconcile(edge, client, Number(values.minutes));
    console.log(load);
    const result = {
      host: { cpu: cpus()[0]?.model, threads: cpus().length, node: process.version, rounds: rounds.length },
      load_before,
      load_after: loadavg()[0],
      inbound_ratio: median(rounds.map(({ ratio }) => ratio)),
      inbound_target: 2,
      inbound: rounds.map((round) => ({ deliveries: n, ...round })),
      outbound: [{ events: Number(values.events), endpoints: ENDPOINTS, hanging: HANGING, ...delivery, target: 1.5 }],
      reconciliation: [{ minutes: Number(values.minutes), ...load }],
    };
    console.log(JSON.stringify(result, null, 2));
    if (values.save) {
      writeFileSync(join(import.meta.dirname, 'results/hooks.json'), `${JSON.stringify(result, null, 2)}\n`);
    }
  } finally {
    await bare.stop();
    await edge.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
