/**
 * `npm run study -- block-sparse [mnist|frontier|refit|tiles|full|lenet|vit|planted ...] [--seeds N]`: block-wise sparse training against its
 * rivals. What `results/block-sparse-<part>.json` holds already is kept, so that a study that was stopped goes on; delete the
 * file to measure anew. `--show` measures nothing. Shows all in `results/block-sparse.md`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { full, type Line, linearOnTestSet, progress } from './block-sparse/mnist.ts';
import { type PlantedLine, planted } from './block-sparse/planted.ts';
import { markdown, pictures } from './block-sparse/tables.ts';

const RESULTS = join(import.meta.dirname, 'results');
const note = (text: string): void => console.error(text);
type Results<L> = { device: string; lines: L[] };
const fileOf = (part: string): string => join(RESULTS, `block-sparse-${part}.json`);
const read = <L>(part: string): Results<L> =>
  existsSync(fileOf(part))
    ? (JSON.parse(readFileSync(fileOf(part), 'utf8')) as Results<L>)
    : { device: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`, lines: [] };

/** The lines of a part, written after each new one. */
function linesOf<L>(part: string, show: (line: L) => string) {
  const results = read<L>(part);
  return {
    known: results.lines,
    save(line: L) {
      results.lines.push(line);
      writeFileSync(fileOf(part), `${JSON.stringify(results, null, 1)}\n`);
      note(show(line));
    },
  };
}

const PARTS: Record<string, { seeds: number; run: (seeds: readonly number[]) => Promise<void> }> = {
  mnist: { seeds: 5, run: (seeds) => linearOnTestSet('mnist', seeds, linesOf<Line>('mnist', progress)) },
  frontier: { seeds: 3, run: (seeds) => linearOnTestSet('frontier', seeds, linesOf<Line>('mnist', progress)) },
  refit: { seeds: 3, run: (seeds) => linearOnTestSet('refit', seeds, linesOf<Line>('refit', progress)) },
  tiles: { seeds: 2, run: (seeds) => linearOnTestSet('tiles', seeds, linesOf<Line>('tiles', progress)) },
  full: { seeds: 2, run: (seeds) => full('linear', seeds, linesOf<Line>('full', progress)) },
  lenet: { seeds: 1, run: (seeds) => full('lenet', seeds, linesOf<Line>('lenet', progress)) },
  vit: { seeds: 1, run: (seeds) => full('vit', seeds, linesOf<Line>('vit', progress)) },
  planted: {
    seeds: 2,
    run: (seeds) =>
      planted(
        seeds,
        linesOf<PlantedLine>(
          'planted',
          ({ tile, seed, survivors }) => `tile ${tile}, seed ${seed}: left ${survivors.join(', ')}`,
        ),
      ),
  },
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
    if (!part) {
      throw new Error(`no part '${name}'; there are ${Object.keys(PARTS).join(', ')}`);
    }
    await part.run(Array.from({ length: Number(values.seeds ?? part.seeds) }, (_, i) => i));
  }
  writeFileSync(join(RESULTS, 'block-sparse.md'), page());
  for (const { name, svg } of pictures(parts())) {
    writeFileSync(join(RESULTS, `block-sparse-${name}.svg`), svg);
  }
}

const parts = () =>
  Object.fromEntries(['mnist', 'refit', 'tiles', 'full', 'lenet', 'vit'].map((part) => [part, read<Line>(part)]));

/** The generated page, of the parts that have results. */
export const page = (): string => markdown(parts(), read<PlantedLine>('planted'));
