/**
 * `npm run study -- coverage [part ...] [--reps N]`: how often the audit's intervals hold the truth, on simulated people whose
 * truth is known. Parts: gaps, rates, ratios, envy, distances, calibration; all where none is named. Leaves
 * `results/coverage.json`, in which the other parts stay as they were, and `results/coverage.md`.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { calibrationCoverage } from './interval-coverage/calibration.ts';
import { coveragePage, type Stored } from './interval-coverage/page.ts';
import { ratioCoverage } from './interval-coverage/ratios.ts';
import { distanceCoverage, envyCoverage, gapCoverage, rateCoverage } from './interval-coverage/simulations.ts';

const results = join(import.meta.dirname, 'results');
const file = join(results, 'coverage.json');

const PARTS = {
  gaps: gapCoverage,
  rates: rateCoverage,
  ratios: ratioCoverage,
  envy: envyCoverage,
  distances: distanceCoverage,
  calibration: calibrationCoverage,
};
type Part = keyof typeof PARTS;
const isPart = (name: string): name is Part => name in PARTS;

export async function run(options: string[]): Promise<void> {
  const at = options.indexOf('--reps');
  const reps = at >= 0 ? Number(options[at + 1]) : 1000;
  const named = options.filter((option, i) => !option.startsWith('--') && (at < 0 || i !== at + 1));
  const unknown = named.find((name) => !isPart(name));
  if (unknown) {
    throw new Error(`no part ${unknown}; parts: ${Object.keys(PARTS).join(', ')}`);
  }
  const stored: Stored = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  for (const part of named.length > 0 ? named.filter(isPart) : (Object.keys(PARTS) as Part[])) {
    const began = performance.now();
    const seconds = (): number => Math.round((performance.now() - began) / 1000);
    const rows = PARTS[part](reps, (text: string) => console.error(`${seconds()} s: ${text}`));
    const run = { device: 'cpu', cores: cpus().length, dtype: 'float64', node: process.version };
    Object.assign(stored, { [part]: { rows, reps, seconds: seconds(), run } });
    writeFileSync(file, `${JSON.stringify(stored, null, 1)}\n`);
  }
  const page = coveragePage(stored);
  writeFileSync(join(results, 'coverage.md'), page);
  console.log(page);
}
