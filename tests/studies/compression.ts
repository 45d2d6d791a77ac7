/**
 * `npm run study -- compression [stories2M|stories260K|bitstories3M|planted ...] [--steps N] [--threads N]`: real models
 * compressed in every way and what their autoencoders make of it (needs the reference data), and the planted checks of the
 * paper's spec. `--show` runs nothing and writes the page from the results that are there.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasData } from '../support/guide.ts';
import {
  type ModelResult,
  methodsPlot,
  modelMarkdown,
  modelStudy,
  type StudiedModel,
} from './compression/model-study.ts';
import { type PlantedResult, plantedMarkdown, plantedStudy } from './compression/planted-study.ts';

const RESULTS = join(import.meta.dirname, 'results');
const MODELS: readonly StudiedModel[] = [
  { name: 'stories2M', folder: ['quantised', 'stories2M-llama'], hook: 'resid_post.1', width: 1024, k: 16, group: 64 },
  // No run of eight or more inputs divides both of its widths, 64 and 172: one scale a row.
  { name: 'stories260K', folder: ['models', 'stories260K-hf'], hook: 'resid_post.2', width: 512, k: 8, group: null },
  { name: 'bitstories3M', folder: ['models', 'bitstories3M-hf'], hook: 'resid_post.4', width: 1024, k: 16, group: 64 },
];
const file = (name: string): string => join(RESULTS, `compression-${name}`);

export async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      steps: { type: 'string', default: '400' },
      threads: { type: 'string', default: '2' },
      show: { type: 'boolean', default: false },
    },
  });
  const known = [...MODELS.map(({ name }) => name), 'planted'];
  const wrong = positionals.find((name) => !known.includes(name));
  if (wrong) {
    throw new Error(`there is no part '${wrong}'; parts: ${known.join(', ')}`);
  }
  const wanted = values.show ? [] : positionals.length > 0 ? positionals : known;
  const note = (text: string): void => console.error(text);
  for (const name of wanted) {
    if (name === 'planted') {
      writeFileSync(`${file(name)}.json`, `${JSON.stringify(await plantedStudy(note), null, 1)}\n`);
      continue;
    }
    if (!hasData) {
      throw new Error('the models lie in the reference data, which is not here (SEXTANT_DATA)');
    }
    const model = MODELS.find((own) => own.name === name)!;
    const settings = { steps: Number(values.steps), threads: Number(values.threads), note };
    const { result, plots } = await modelStudy(model, settings);
    const device = `${cpus()[0]?.model ?? 'unknown'}, ${values.threads} threads`;
    writeFileSync(`${file(name)}.json`, `${JSON.stringify({ device, ...result }, null, 1)}\n`);
    for (const plot of plots) {
      writeFileSync(`${file(name)}-${plot.name}.svg`, plot.svg);
    }
  }
  writeFileSync(join(RESULTS, 'compression.md'), page());
}

export /** The page, with the pictures that are drawn from several copies' results. */
function page(): string {
  const read = <T>(name: string): T | null =>
    existsSync(`${file(name)}.json`) ? (JSON.parse(readFileSync(`${file(name)}.json`, 'utf8')) as T) : null;
  const planted = read<PlantedResult>('planted');
  const models = MODELS.map(({ name }) => read<ModelResult>(name)).filter((result) => result !== null);
  for (const model of models) {
    writeFileSync(`${file(model.name)}-methods.svg`, `${methodsPlot(model)}\n`);
  }
  return [
    '# Compressed models and their autoencoders',
    '',
    'Made by `npm run study -- compression`. Cells of an autoencoder are loss recovered on the compressed copy, with its FVU in',
    'parentheses; 25, 50 and 75 % are the dense autoencoder pruned by the canonical rule on the copy. Survival is the share of',
    'latents whose code correlates by 0.9 or more with that on the dense model; overlap that of the active latents. Calibration:',
    '16,384 tokens of the stories, errors on held-out ones.',
    '',
    ...models.map(modelMarkdown),
    ...(planted ? [plantedMarkdown(planted)] : []),
  ].join('\n');
}
