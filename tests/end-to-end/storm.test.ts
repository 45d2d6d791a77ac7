/** The storm of `npm run bench -- faults`, small: nothing is lost, doubled or stuck, whatever dies and whatever line fails. */
import { expect, it } from 'vitest';
import { stormOver } from './support/storm-stack.ts';

it('200 jobs through kills of every part and answers that fail end once each, with all their bytes', async () => {
  const seed = Number(process.env.STORM_SEED ?? 1);
  console.log(`seed ${seed}`);
  const report = await stormOver({ seed, jobs: 200, workers: 2, every_ms: 4000 });
  console.log(JSON.stringify(report));
  expect(report.wrong).toEqual([]);
  expect(report.succeeded + report.failed + report.canceled).toBe(200);
}, 600_000);
