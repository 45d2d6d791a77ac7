/**
 * `node infra/check/test-totals.ts REPORT.json ...`: adds up the test runner's JSON reports and prints one line. Exits 1
 * where a test failed, a report is missing, or no test ran.
 */
import { existsSync, readFileSync } from 'node:fs';

export type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  /** Files that failed outside any test count as one failure each. */
  testResults: { status: string; assertionResults: { status: string }[] }[];
};
type Totals = { passed: number; failed: number; skipped: number };

export function addUp(reports: readonly Report[]): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const report of reports) {
    totals.passed += report.numPassedTests;
    totals.failed += report.numFailedTests;
    totals.skipped += report.numPendingTests + report.numTodoTests;
    totals.failed += report.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.every(({ status }) => status !== 'failed'),
    ).length;
  }
  return totals;
}

if (import.meta.main) {
  const files = process.argv.slice(2);
  const missing = files.filter((file) => !existsSync(file));
  for (const file of missing) {
    console.error(`no report ${file}: the run ended before its tests did`);
  }
  const reports = files
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as Report);
  const { passed, failed, skipped } = addUp(reports);
  console.log(`${passed} passed, ${failed + missing.length} failed, ${skipped} skipped`);
  if (failed + missing.length > 0 || passed === 0) {
    process.exitCode = 1;
  }
}
