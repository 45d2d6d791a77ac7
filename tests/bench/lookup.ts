/**
 * `npm run bench -- lookup [--seconds S] [--rounds N]`: what a look-up of a 16 KB vector costs in each tier, beside a bare
 * Worker that answers 16 KB from memory, both on direct workerd sockets. The measured route is the deployed one, with
 * authentication, quota and all headers. Loads alternate, and medians over the rounds are shown.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type Cell, type Load, measure } from './lookup/load.ts';
import { plantKey, plantVectors, WIDTH } from './lookup/planting.ts';
import { bundle, type Server, startBare, startEdge } from './lookup/servers.ts';

const BUNDLE_LIMIT_KIB = 350;
const TARGETS: Record<number, number> = { 1: 1.4, 16: 2.0 };
/** More vectors than the isolate's memory holds, so that asking for them in turn never hits it. */
const BEYOND_MEMORY = 2200;
/** More vectors than the first loads can ask for. */
const UNSEEN = 2000;

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: { seconds: { type: 'string', default: '2' }, rounds: { type: 'string', default: '5' } },
  });
  if (spawnSync('wrk', ['-v']).error) {
    console.error('the load comes from wrk, which is not installed: apt-get install wrk');
    process.exitCode = 2;
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'sextant-lookup-'));
  // what else the machine was doing belongs to the figures
  const load = loadavg()[0]!;
  const servers: Server[] = [];
  try {
    const script = bundle(join(folder, 'bundle'));
    const bare = await startBare();
    servers.push(bare);
    const edge = await startEdge(script);
    servers.push(edge);
    const cells = await measureAll(bare, edge, {
      seconds: Number(values.seconds),
      rounds: Number(values.rounds),
      folder,
    });
    report(cells, { script, bare, edge, load });
  } finally {
    for (const { miniflare } of servers) {
      await miniflare.dispose();
    }
    rmSync(folder, { recursive: true });
  }
}

type Cells = Record<string, Record<number, Cell[]>>;
type Plan = { seconds: number; rounds: number; folder: string };

async function measureAll(bare: Server, edge: Server, { seconds, rounds, folder }: Plan): Promise<Cells> {
  const key = await plantKey(edge.miniflare);
  const [one = '', ...many] = await plantVectors(edge.miniflare, 1 + BEYOND_MEMORY + UNSEEN);
  const path = (id: string) => `/v1/vectors/${id}?format=raw`;
  const empty = (): Record<number, Cell[]> => ({ 1: [], 16: [] });
  const cells: Cells = { bare: empty(), memory: empty(), kv: empty(), r2: empty() };
  const load = async (name: string, server: Server, of: Omit<Load, 'key' | 'seconds'> & { seconds?: number }) => {
    const cell = await measure(server, { seconds, ...of, key }, folder);
    if (cell.errors > 0) {
      throw new Error(`${name}: ${cell.errors} of ${cell.requests} requests failed`);
    }
    const other = Object.keys(cell.tiers).filter((tier) => !tier.includes(`"${name}"`));
    const strays = other.reduce((sum, tier) => sum + cell.tiers[tier]!, 0);
    if (strays > cell.requests / 100 + 2 * of.connections) {
      throw new Error(`${name}: answers came from ${JSON.stringify(cell.tiers)}`);
    }
    cells[name]![of.connections]!.push(cell);
  };
  // R2 first: each vector is asked for once, and then lies in KV
  const unseen = many.splice(0, UNSEEN).map(path);
  for (const connections of [1, 16]) {
    await load('r2', edge, { connections, paths: unseen, count_tiers: true, seconds: 1 });
    unseen.splice(0, cells.r2![connections]![0]!.requests + connections);
  }
  const turn = many.map(path);
  await fetchAll(edge, key, turn);
  for (let round = 0; round < rounds; round += 1) {
    for (const connections of [1, 16]) {
      await fetchAll(edge, key, [path(one)]);
      await load('bare', bare, { connections, paths: ['/'], count_tiers: false });
      await load('memory', edge, { connections, paths: [path(one)], count_tiers: false });
      if (round >= 2) {
        continue;
      }
      await load('kv', edge, { connections, paths: turn, count_tiers: true });
      // the next load goes on where this one stopped: what it asked for last lies in memory
      const asked = cells.kv![connections]!.at(-1)!.requests + connections;
      turn.push(...turn.splice(0, asked % turn.length));
    }
  }
  const last = await fetch(`${edge.origin}${path(one)}`, { headers: { authorization: `Bearer ${key}` } });
  console.log(`headers of a measured answer: ${JSON.stringify(Object.fromEntries(last.headers), null, 1)}\n`);
  if ((await last.arrayBuffer()).byteLength !== 4 * WIDTH) {
    throw new Error('the measured answer is not the vector');
  }
  return cells;
}

async function fetchAll(edge: Server, key: string, paths: readonly string[]): Promise<void> {
  const rest = [...paths].reverse();
  const next = async () => {
    for (let path = rest.pop(); path; path = rest.pop()) {
      await (await fetch(`${edge.origin}${path}`, { headers: { authorization: `Bearer ${key}` } })).arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 8 }, next));
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

type Circumstances = { script: string; bare: Server; edge: Server; load: number };

function report(cells: Cells, { script, bare, edge, load }: Circumstances): void {
  const rows = Object.entries(cells).flatMap(([name, byConnections]) =>
    Object.entries(byConnections).map(([connections, runs]) => {
      const of = (field: 'per_second' | 'p50_ms' | 'p99_ms' | 'cpu_us') => median(runs.map((cell) => cell[field]));
      const floor = median(cells.bare![Number(connections)]!.map((cell) => cell.cpu_us));
      return {
        tier: name,
        connections: Number(connections),
        'p50 ms': of('p50_ms').toFixed(3),
        'p99 ms': of('p99_ms').toFixed(2),
        'requests/s': Math.round(of('per_second')),
        'CPU us': Math.round(of('cpu_us')),
        'x bare': Number((of('cpu_us') / floor).toFixed(2)),
        runs: runs.length,
      };
    }),
  );
  console.table(rows);
  const kib = gzipSync(script).byteLength / 1024;
  const cold = {
    bare_ms: bare.cold_ms,
    edge_ms: edge.cold_ms,
    bare_cpu_ms: bare.cold_cpu_ms,
    edge_cpu_ms: edge.cold_cpu_ms,
  };
  console.log(
    `cold isolate, process start to first answer: bare ${cold.bare_ms.toFixed(0)} ms (CPU ${cold.bare_cpu_ms} ms), ` +
      `edge ${cold.edge_ms.toFixed(0)} ms (CPU ${cold.edge_cpu_ms} ms)`,
  );
  console.log(`load average of the machine before: ${load.toFixed(1)}`);
  console.log(`bundle: ${kib.toFixed(1)} KiB gzip (limit ${BUNDLE_LIMIT_KIB})`);
  const missed = rows.filter(({ tier, connections, 'x bare': x }) => tier === 'memory' && x > TARGETS[connections]!);
  for (const { connections, 'x bare': x } of missed) {
    console.log(
      `MISSED: memory costs ${x} x bare at ${connections} connections; the target is ${TARGETS[connections]}`,
    );
  }
  if (missed.length > 0 || kib > BUNDLE_LIMIT_KIB) {
    process.exitCode = 1;
  }
  const results = join(import.meta.dirname, 'results');
  mkdirSync(results, { recursive: true });
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}`;
  writeFileSync(
    join(results, 'lookup.json'),
    `${JSON.stringify({ machine, load_before: load, node: process.version, rows, cold, bundle_gzip_kib: kib }, null, 2)}\n`,
  );
}
