import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Checkpoints, sweepPoints } from '../../../gpu-worker/study/index.ts';
import { LocalJobs } from '../../support/job-context.ts';

const jobs = new LocalJobs();
afterAll(() => jobs.close());

const points = [0.1, 1 / 3, 2, 7, 11];
const result = z.object({ square: z.number(), none: z.null() });

/** A sweep that counts what it measures; `fail` is the point at which it dies. */
function run(checkpoints: Checkpoints, { of = { model: 'm' }, fail = -1, given = points } = {}) {
  const measured: number[] = [];
  const measure = async (point: number, i: number) => {
    if (i === fail) {
      throw new Error('died');
    }
    measured.push(point);
    return { square: point * point, none: null };
  };
  const done: number[] = [];
  const progress = (n: number) => void done.push(n);
  return { measured, done, outcome: sweepPoints({ points: given, of, result, measure, checkpoints, progress }) };
}

describe('a sweep', () => {
  it('goes on where an earlier attempt died, and gives the same results', async () => {
    const whole = run(jobs.context({}).checkpoint);
    const expected = await whole.outcome;
    expect(whole.measured).toEqual(points);
    expect(whole.done).toEqual([1, 2, 3, 4, 5]);
    expect(expected.resumed).toBe(0);

    const before = jobs.checkpoints.length;
    await expect(run(jobs.context({}).checkpoint, { fail: 3 }).outcome).rejects.toThrow('died');
    expect(jobs.checkpoints.length).toBeGreaterThan(before);
    const last = jobs.checkpoints.at(-1)!;
    const next = run(jobs.context({}, last).checkpoint);
    const { results, resumed } = await next.outcome;
    expect(results).toEqual(expected.results);
    expect(resumed).toBeGreaterThan(0);
    expect(next.measured).toEqual(points.slice(resumed));
    expect(next.done[0]).toBe(resumed);
  });

  it('starts from the beginning where what was saved is of other points, of another model, or no sweep', async () => {
    await expect(run(jobs.context({}).checkpoint, { fail: 3 }).outcome).rejects.toThrow('died');
    const last = jobs.checkpoints.at(-1)!;
    const others = [{ of: { model: 'n' } }, { given: [...points, 12] }];
    for (const other of others) {
      const fresh = run(jobs.context({}, last).checkpoint, other);
      expect((await fresh.outcome).resumed).toBe(0);
    }
    const foreign = run(jobs.context({}, { ...last, state: { something: 'else' } }).checkpoint);
    expect((await foreign.outcome).resumed).toBe(0);
    expect(foreign.measured).toEqual(points);
  });
});
