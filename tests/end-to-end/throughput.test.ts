/** Many small jobs through two workers: nothing is lost and nothing is done twice. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../support/until.ts';
import { Stack } from './support/stack.ts';

const JOBS = 200;
// jobs wait longer than usual here: sending them again meanwhile would only add duplicates
const stack = new Stack({ resend_ms: 60_000 });
beforeAll(() => stack.start(), 120_000);
afterAll(() => stack.stop());

it(`${JOBS} jobs through two workers complete once each`, async () => {
  const begun = performance.now();
  const ids: string[] = [];
  const post = async () => {
    while (ids.length < JOBS) {
      const place = ids.push('') - 1;
      ids[place] = await stack.post({ artefacts: 1, artefact_bytes: 64, seed: place });
    }
  };
  const [workers] = await Promise.all([Promise.all([stack.startWorker(), stack.startWorker()]), post(), post()]);
  const count = async (status: string) =>
    Number((await stack.edge.execute('SELECT count(*) AS n FROM jobs WHERE status = ?', [status]))[0]?.n);
  await until(async () => (await count('succeeded')) === JOBS, 'all jobs', 200_000);
  const seconds = (performance.now() - begun) / 1000;
  console.log(`${JOBS} jobs in ${seconds.toFixed(1)} s: ${(JOBS / seconds).toFixed(1)} jobs/s`);
  const completed = workers.flatMap(({ events }) => events.filter(({ event }) => event === 'completed'));
  expect(new Set(completed.map(({ id }) => id)).size).toBe(JOBS);
  expect(completed).toHaveLength(JOBS);
  expect(completed.every(({ attempt }) => attempt === 1)).toBe(true);
  const [artefacts] = await stack.edge.execute('SELECT count(*) AS n, count(DISTINCT job) AS jobs FROM artefacts');
  expect(artefacts).toEqual({ n: JOBS, jobs: JOBS });
  const [first = '', last = ''] = [ids[0], ids.at(-1)];
  await stack.assertSingleCompletion(first);
  await stack.assertSingleCompletion(last);
}, 240_000);
