import { expect, test } from 'vitest';
import { addUp, type Report } from '../../../infra/check/test-totals.ts';

const report = (more: Partial<Report>): Report => ({
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [],
  ...more,
});

test('adds up reports', () => {
  const reports = [report({ numPassedTests: 3, numPendingTests: 1 }), report({ numPassedTests: 2, numFailedTests: 1 })];
  expect(addUp(reports)).toEqual({ passed: 5, failed: 1, skipped: 1 });
});

test('a file that fails before its tests counts as a failure', () => {
  const broken = report({ numPassedTests: 3, testResults: [{ status: 'failed', assertionResults: [] }] });
  expect(addUp([broken])).toEqual({ passed: 3, failed: 1, skipped: 0 });
});
