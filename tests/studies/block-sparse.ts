/**
 * `npm run study -- block-sparse [mnist|full|lenet|vit|stories|planted ...] [--seeds N]`: block-wise sparse training against
 * its rivals. `--show` runs nothing and writes the tables from the results that are there. Leaves
 * `results/block-sparse-<part>.json` and shows them in `results/block-sparse.md`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { full, linearOnTestSet } from './block-sparse/mnist.ts';

const RESULTS = join(import.meta.dirname, 'results');
const note = (text: string): void => console.error(text);

const PARTS: Record<string, { seeds: number; run: (seeds: readonly number[]) => Promise<unknown> }> = {
  mnist: { seeds: 5, run: (seeds) => linearOnTestSet(seeds, note) },
  full: { seeds: 3, run: (seeds) => full('linear', seeds, note) },
  lenet: { seeds: 2, run: (seeds) => full('lenet', seeds, note) },
};

export async function run(options: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: options,
    allowPositionals: true,
    options: { seeds: { type: 'string' }, show: { type: 'boolean', default: false } },
  });
  mkdirSync(RESULTS, { recursive: true });
  for (const name of values.show ? [] : positionals.length > 0 ? positionals : Object.keys(PARTS)) {
    const part = PARTS[name];
    if (!part) throw new Error(`no part '${name}'; there are ${Object.keys(PARTS).join(', ')}`);
    const seeds = Array.from({ length: Number(values.seeds ?? part.seeds) }, (_, i) => i);
    const lines = await part.run(seeds);
    const device = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`;
    writeFileSync(
      join(RESULTS, `block-sparse-${name}.json`),
      `${JSON.stringify({ device, seeds: seeds.length, lines }, null, 1)}\n`,
    );
  }
}
