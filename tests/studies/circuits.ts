/**
 * `npm run study -- circuits [toys|real|poison|planted ...] [--seeds 0,1,2] [--models NAME,NAME] [--threads N]`: circuits before and after
 * fine-tuning. `real` and `poison` need the reference data. Runs whose results are there already are left as they are. `--show` runs
 * nothing and writes the page from the results that are there.
 * `--gpt2 DIR [--gpt2 CHECKPOINT ...] [--pairs 128]` runs indirect objects on a folder of GPT-2 small and prints which published heads
 * are found, and what the base's circuit does in each checkpoint. `--eap-ig DIR --torch DIR` opens graphs with the loader of a checkout
 * of EAP-IG.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '../../gpu-worker/lm/index.ts';
import { data } from '../support/guide.ts';
import { readByEapIg } from './circuits/eap-ig.ts';
import { ioiStudy } from './circuits/ioi.ts';
import { circuitsPage } from './circuits/page.ts';
import { type PlantedFound, plantedStudy } from './circuits/planted.ts';
import { type Found, findIn, poisonStudy, pronounPairs, sortPairs, type Tuned } from './circuits/real-models.ts';
import { TOYS } from './circuits/toy-task.ts';
import { type ToyResult, toyStudy } from './circuits/toys.ts';

const RESULTS = join(import.meta.dirname, 'results');

export async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      'eap-ig': { type: 'string' },
      torch: { type: 'string', default: '' },
      gpt2: { type: 'string', multiple: true },
      pairs: { type: 'string', default: '128' },
      show: { type: 'boolean', default: false },
      threads: { type: 'string', default: '2' },
      seeds: { type: 'string', default: '0,1,2' },
      models: { type: 'string', default: 'stories260K,bitstories3M,gpt-nano-sort' },
    },
  });
  const note = (text: string): void => console.error(text);
  const threads = Number(values.threads);
  if (values.gpt2) {
    await ioiStudy(values.gpt2, Number(values.pairs), threads);
    return;
  }
  if (values['eap-ig']) {
    for (const line of readByEapIg(values['eap-ig'], values.torch)) {
      console.log(line);
    }
    return;
  }
  const known = ['planted', 'toys', 'real', 'poison'];
  const wrong = positionals.find((name) => !known.includes(name));
  if (wrong) {
    throw new Error(`there is no part '${wrong}'; parts: ${known.join(', ')}`);
  }
  const wanted = values.show ? [] : positionals.length > 0 ? positionals : known;
  const read = <T>(name: string): T[] => {
    const file = join(RESULTS, `circuits-${name}.json`);
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T[]) : [];
  };
  const write = (name: string, value: unknown) =>
    writeFileSync(join(RESULTS, `circuits-${name}.json`), `${JSON.stringify(value, null, 1)}\n`);
  const seeds = values.seeds.split(',').map(Number);
  if (wanted.includes('planted')) {
    write('planted', await plantedStudy(threads));
  }
  if (wanted.includes('toys')) {
    for (const toy of TOYS) {
      for (const seed of seeds) {
        if (read<ToyResult>('toys').some((one) => one.model === toy.name && one.seed === seed)) {
          continue;
        }
        const result = await toyStudy(toy, seed, threads);
        const missed = result.gates.filter(({ ok }) => !ok).map(({ name, value }) => `${name} ${value.toPrecision(4)}`);
        note(`${toy.name}, seed ${seed}, ${result.seconds.toFixed(0)} s: missed ${missed.join('; ') || 'nothing'}`);
        write('toys', [
          ...read<ToyResult>('toys').filter((one) => one.model !== toy.name || one.seed !== seed),
          result,
        ]);
      }
    }
  }
  if (wanted.includes('real')) {
    for (const name of values.models.split(',')) {
      if (read<Found>('real').some((one) => one.model === name)) {
        continue;
      }
      const model = await loadModel(data('models', `${name}-hf`), { threads, spinning: false });
      const pairs = name === 'gpt-nano-sort' ? sortPairs(120) : pronounPairs(model);
      const found = await findIn(model, name, pairs, threads);
      await model.release();
      note(JSON.stringify(found));
      write('real', [...read<Found>('real').filter((one) => one.model !== name), found]);
    }
  }
  if (wanted.includes('poison')) {
    for (const replay of [false, true]) {
      for (const seed of seeds) {
        if (read<Tuned>('poison').some((one) => one.replay === replay && one.seed === seed)) {
          continue;
        }
        const result = await poisonStudy(
          data('models', 'stories260K-hf'),
          { layer: 4, head: 2 },
          seed,
          replay,
          threads,
        );
        note(JSON.stringify(result));
        const others = read<Tuned>('poison').filter((one) => one.replay !== replay || one.seed !== seed);
        write('poison', [...others, result]);
      }
    }
  }
  const page = {
    planted: read<PlantedFound>('planted'),
    toys: read<ToyResult>('toys'),
    real: read<Found>('real'),
    poison: read<Tuned>('poison'),
  };
  writeFileSync(join(RESULTS, 'circuits.md'), circuitsPage(page));
}
