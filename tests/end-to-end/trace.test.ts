/** One trace from the caller through edge, message and worker to the webhook, and the command that prints it in order. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { linesIn } from '../../infra/operator/trace.ts';
import type { Job } from '../../shared/contracts/job.ts';
import { repositoryRoot } from '../support/guide.ts';
import { until } from '../support/until.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack();
beforeAll(() => stack.start(), 120_000);
afterAll(() => stack.stop());

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

it("carries the caller's trace id through everything, and prints it in order", async () => {
  const heard: IncomingHttpHeaders[] = [];
  const receiver = createServer((request, response) => {
    heard.push(request.headers);
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const worker = await stack.startWorker({ metrics: { port: 0 } });
  const answer = await stack.call('POST', '/v1/jobs', {
    body: {
      type: 'diagnostics.run',
      params: { steps: 1, step_ms: 0 },
      webhook: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
    },
    headers: { 'idempotency-key': 'traced', traceparent: `00-${TRACE}-00f067aa0ba902b7-01` },
  });
  expect(answer.headers.get('traceresponse')).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  const { id } = (await answer.json()) as Job;
  expect(await stack.ended(id)).toMatchObject({ status: 'succeeded', trace_id: TRACE });
  await until(() => heard.length > 0, 'the webhook');
  const [headers] = heard;
  expect(headers?.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  expect(headers?.traceparent).not.toContain('00f067aa0ba902b7');
  await until(() => /"event":"webhook attempt"/.test(stack.edgeLog), 'its line in the log');

  // two files, as two machines would have them
  const files = [join(stack.data, 'edge.log'), join(stack.data, 'worker.log')];
  writeFileSync(files[0] ?? '', stack.edgeLog);
  writeFileSync(files[1] ?? '', worker.log);
  const command = [join(repositoryRoot, 'infra/operator/trace.ts'), TRACE, ...files];
  const printed = execFileSync(process.execPath, command, { encoding: 'utf8' }).trim().split('\n');
  const events = printed.map((line) => line.split('  ').slice(1, 3));
  const at = (service: string, event: string) => events.findIndex(([s, e]) => s === service && e === event);
  const order = [
    at('edge', 'job queued'),
    at('edge', 'job sent'),
    at('edge', 'job running'),
    at(worker.id, 'claimed'),
    at('edge', 'job succeeded'),
    at('edge', 'webhook attempt'),
  ];
  expect(Math.min(...order), printed.join('\n')).toBeGreaterThanOrEqual(0);
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(at(worker.id, 'completed')).toBeGreaterThan(at('edge', 'job succeeded'));
  expect(printed.filter((line) => line.includes('method=POST')).some((line) => line.includes('path=/v1/jobs '))).toBe(
    true,
  );
  // one shape for every line of every part
  const lines = `${stack.edgeLog}\n${worker.log}`.split('\n').filter((line) => line.startsWith('{'));
  expect(lines.flatMap(linesIn)).toHaveLength(lines.length);

  const port = worker.events.find(({ event }) => event === 'ready')?.metrics_port;
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(metrics).toMatch(/^sextant_worker_jobs_total\{type="diagnostics.run",end="completed"\} 1$/m);
  expect(metrics).toMatch(/^sextant_worker_running 0$/m);
  expect((await fetch(`http://127.0.0.1:${port}/other`)).status).toBe(404);
  receiver.close();
}, 60_000);
