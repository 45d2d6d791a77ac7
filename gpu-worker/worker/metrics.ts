/** What a worker counts, as Prometheus text on a port of its own. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { HostHealth } from './host-health.ts';

export class Metrics {
  readonly #registry = new Registry();
  readonly #ended = new Counter({
    name: 'sextant_worker_jobs_total',
    help: 'Attempts, by job type and how they ended',
    labelNames: ['type', 'end'],
    registers: [this.#registry],
  });
  readonly #seconds = new Histogram({
    name: 'sextant_worker_job_seconds',
    help: 'How long attempts took',
    labelNames: ['type'],
    buckets: [1, 5, 15, 60, 300, 1800, 7200, 28_800],
    registers: [this.#registry],
  });
  readonly #messages = new Counter({
    name: 'sextant_worker_messages_total',
    help: 'Messages pulled, by what became of them: worked, refused by the ledger, not valid',
    labelNames: ['outcome'],
    registers: [this.#registry],
  });
  readonly #running = new Gauge({
    name: 'sextant_worker_running',
    help: 'Jobs in hand',
    registers: [this.#registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  message(outcome: 'worked' | 'not_claimed' | 'refused'): void {
    this.#messages.inc({ outcome });
  }

  /** Counts an attempt from its claim to its end, whose first word `work` answers. */
  async attempt(type: string, work: () => Promise<string>): Promise<string> {
    this.#running.inc();
    const stop = this.#seconds.startTimer({ type });
    try {
      const end = await work();
      this.#ended.inc({ type, end: end.split(':')[0] ?? end });
      return end;
    } finally {
      stop();
      this.#running.dec();
    }
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/**
 * Serves `GET /metrics`, and `GET /health`: 200 while the worker can compute, 503 with the reason while it cannot. Answers
 * with the server and its port. Raises what listening raises.
 */
export async function serveMetrics(
  metrics: Metrics,
  health: HostHealth,
  { host, port }: { host: string; port: number },
): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    if (request.method === 'GET' && request.url === '/health') {
      const { reason } = health;
      const status = reason === null ? 'ok' : 'unwell';
      response
        .writeHead(reason === null ? 200 : 503, { 'content-type': 'application/json' })
        .end(JSON.stringify({ status, reason }));
      return;
    }
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return { server, port: (server.address() as AddressInfo).port };
}
