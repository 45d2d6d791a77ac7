/** What a small job costs is held: more statements, requests or alarms than these are a change that somebody has to mean. */
import { expect, it } from 'vitest';
import { measureJobs } from '../bench/job-cost/measure.ts';

it('a small job takes no more statements, requests, alarms and messages than it did', async () => {
  const cost = await measureJobs(8);
  expect(cost.ledger_statements).toBeLessThanOrEqual(30);
  expect(cost.d1.statements).toBeLessThanOrEqual(5);
  expect(cost.object_requests).toBeLessThanOrEqual(12.5);
  expect(cost.alarms).toBeLessThanOrEqual(1.2);
  expect(cost.messages).toBe(1);
  expect([cost.r2, cost.kv]).toEqual([{}, {}]);
}, 240_000);
