/** `verify -- directions DIR`: refusal directions, weight edits and steering against reference values. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compareReflection } from './directions/reflection.ts';
import { compareRefusal } from './directions/refusal.ts';
import { type Device, Report } from './report.ts';

export async function compareDirections(dir: string, device: Device): Promise<Report> {
  const report = new Report('directions', dir, device);
  const stems = readdirSync(dir)
    .filter((name) => /^(refusal|reflection).*\.json$/.test(name))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
  if (stems.length === 0) {
    throw new Error(`there is neither refusal*.json nor reflection*.json in ${dir}`);
  }
  for (const stem of stems) {
    try {
      await (stem.startsWith('refusal') ? compareRefusal : compareReflection)(report, join(dir, stem), stem, device);
    } catch (error) {
      report.unreadable(stem, error);
    }
  }
  return report;
}
