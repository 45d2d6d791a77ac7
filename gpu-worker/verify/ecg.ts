/**
 * `verify -- ecg DIR [--device cpu|webgpu]`: network, mixing, filters and record readers against the reference files in
 * DIR. Cases, shapes and options are those of the files. Prints one JSON object as its last line.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compareNetworks } from './ecg/network.ts';
import { compareRecords } from './ecg/records.ts';
import { compareClassical, compareMixing } from './ecg/signals.ts';
import { type Device, Report } from './report.ts';

const PARTS: Readonly<Record<string, (dir: string, report: Report) => Promise<void>>> = {
  'network.json': compareNetworks,
  'mixing.json': compareMixing,
  'classical.json': compareClassical,
  'records.json': compareRecords,
};

/** Runs the comparison; used by the command and by the tests. Parts that DIR does not have are left out. */
export async function compareEcg(dir: string, device: Device = 'cpu'): Promise<Report> {
  const parts = Object.entries(PARTS).filter(([file]) => existsSync(join(dir, file)));
  if (parts.length === 0) {
    throw new Error(`${dir} holds none of ${Object.keys(PARTS).join(', ')}`);
  }
  const report = new Report('ecg', dir, device);
  for (const [, compare] of parts) {
    await compare(dir, report);
  }
  return report;
}
