/**
 * `npm run study -- circuits [toys|real|poison ...] [--threads N]`: circuits before and after fine-tuning. `real` and `poison` need
 * the reference data.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '../../gpu-worker/lm/index.ts';
import { data } from '../support/guide.ts';
import { findIn, poisonStudy, pronounPairs, sortPairs } from './circuits/real-models.ts';
import { toyStudy } from './circuits/toys.ts';

const RESULTS = join(import.meta.dirname, 'results');

export async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { threads: { type: 'string', default: '2' } },
  });
  const note = (text: string): void => console.error(text);
  const threads = Number(values.threads);
  const known = ['toys', 'real', 'poison'];
  const wrong = positionals.find((name) => !known.includes(name));
  if (wrong) {
    throw new Error(`there is no part '${wrong}'; parts: ${known.join(', ')}`);
  }
  const wanted = positionals.length > 0 ? positionals : known;
  const write = (name: string, value: unknown) =>
    writeFileSync(join(RESULTS, `circuits-${name}.json`), `${JSON.stringify(value, null, 1)}\n`);
  if (wanted.includes('toys')) {
    write('toys', await toyStudy(note, threads));
  }
  if (wanted.includes('real')) {
    const found = [];
    for (const name of ['stories260K', 'bitstories3M', 'gpt-nano-sort']) {
      const model = await loadModel(data('models', `${name}-hf`), { threads, spinning: false });
      const pairs = name === 'gpt-nano-sort' ? sortPairs(120) : pronounPairs(model);
      found.push(await findIn(model, name, pairs, threads));
      await model.release();
      note(JSON.stringify(found.at(-1)));
    }
    write('real', found);
  }
  if (wanted.includes('poison')) {
    const found = [];
    for (const replay of [false, true]) {
      for (const seed of [0, 1, 2]) {
        found.push(await poisonStudy(data('models', 'stories260K-hf'), { layer: 4, head: 2 }, seed, replay, threads));
        note(JSON.stringify(found.at(-1)));
      }
    }
    write('poison', found);
  }
}
