/** 200 jobs of the storm, whose command is `npm run bench -- faults`; STORM_SEED replays one. */
import { expect, it } from 'vitest';
import { stormOver } from '../end-to-end/support/storm-stack.ts';

const seed = Number(process.env.STORM_SEED ?? 1 + Math.floor(1e6 * Math.random()));

it(`weathers a storm (seed ${seed})`, { timeout: 900_000 }, async () => {
  const report = await stormOver({ seed, jobs: 200, workers: 2, every_ms: 5000 });
  expect(report.wrong).toEqual([]);
  expect(report.succeeded + report.failed + report.canceled).toBe(200);
  expect(Object.keys(report.kills).length).toBeGreaterThan(2);
});
