/** One cell of the table: a load by `wrk`, and the CPU time that the server spent on it. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jiffies } from './process.ts';
import type { Server } from './servers.ts';

export type Cell = {
  requests: number;
  per_second: number;
  p50_ms: number;
  p99_ms: number;
  /** CPU of the server's process per request, in microseconds. */
  cpu_us: number;
  errors: number;
  /** How many answers named which tier, where the load asked for it. */
  tiers: Record<string, number>;
};

export type Load = {
  connections: number;
  seconds: number;
  key: string;
  /** Paths asked for in turn. */
  paths: readonly string[];
  /** Look at each answer's Server-Timing: costs the client time, never the server. */
  count_tiers: boolean;
};

const script = (load: Load): string => `
local paths = { ${load.paths.map((path) => JSON.stringify(path)).join(', ')} }
local headers = { Authorization = ${JSON.stringify(`Bearer ${load.key}`)} }
local n = 0
function request()
  n = n + 1
  return wrk.format("GET", paths[(n - 1) % #paths + 1], headers)
end
${
  load.count_tiers
    ? `seen = {}
function response(status, headers, body)
  local tier = headers["server-timing"] or headers["Server-Timing"] or tostring(status)
  seen[tier] = (seen[tier] or 0) + 1
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
`
    : ''
}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("CELL %d %d %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.timeout + e.status))
  ${load.count_tiers ? 'for _, t in ipairs(threads) do for tier, count in pairs(t:get("seen")) do io.write("TIER " .. count .. " " .. tier .. "\\n") end end' : ''}
end
`;

export async function measure(server: Server, load: Load, folder: string): Promise<Cell> {
  const file = join(folder, 'load.lua');
  writeFileSync(file, script(load));
  const before = jiffies(server.pid);
  const options = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '-s', file, server.origin];
  const child = spawn('wrk', options, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  for await (const chunk of child.stdout) {
    output += String(chunk);
  }
  const spent = jiffies(server.pid) - before;
  const cell = /CELL (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)/.exec(output);
  if (!cell) {
    throw new Error(`wrk said:\n${output}`);
  }
  const [requests, duration_us, p50, p99, errors] = cell.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    requests,
    per_second: requests / (duration_us / 1e6),
    p50_ms: p50 / 1000,
    p99_ms: p99 / 1000,
    cpu_us: (spent * 10_000) / requests,
    errors,
    tiers: Object.fromEntries([...output.matchAll(/TIER (\d+) (.*)/g)].map((m) => [m[2]!, Number(m[1])])),
  };
}
