import { expect, it } from 'vitest';
import { linesIn, ofTrace, shown } from '../../../infra/operator/trace.ts';
import { logLine } from '../../../shared/contracts/log-line.ts';

const TRACE = 'a'.repeat(32);
const line = (at: string, event: string, trace_id: string | null = TRACE, level: 'info' | 'error' = 'info') =>
  logLine({ at: `2026-01-01T00:00:0${at}Z`, level, service: 'edge', event, trace_id, job: 'job_x' });

it('finds log lines among others, within events of wrangler tail too, and puts them in order', () => {
  const texts = [
    line('3.000', 'c'),
    'workerd said something else',
    '{"not": "a line"}',
    '{broken',
    JSON.stringify({
      outcome: 'ok',
      logs: [{ message: [line('1.000', 'a')], level: 'log' }, { message: [line('2.000', 'b')] }],
    }),
    line('4.000', 'of another', 'b'.repeat(32)),
    line('5.000', 'of none', null),
    `prefix ${line('3.500', 'd', TRACE, 'error')}`,
  ];
  const found = ofTrace(texts.flatMap(linesIn), TRACE);
  expect(found.map(({ event }) => event)).toEqual(['a', 'b', 'c', 'd']);
  expect(found.map(shown)[3]).toBe('2026-01-01T00:00:03.500Z  edge  ERROR d  job=job_x');
});
