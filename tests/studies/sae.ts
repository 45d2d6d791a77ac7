/**
 * `npm run study -- sae [planted|stories|larger|embedded|labelled|spelling ...] [--seeds N] [--steps N]`: AbsTopK against TopK on planted
 * dictionaries, on pretrained story models (need the reference data), on the embedded default's model, and on labelled
 * texts (needs the reference data). `--show` runs nothing and writes the tables from the results that are there. Leaves
 * `results/sae-<part>.json` and shows them in `results/sae.md`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import lmTrain from '../../shared/jobs/lm.train.ts';
import { data, hasData } from '../support/guide.ts';
import { LocalJobs } from '../support/job-context.ts';
import { type LabelledResult, labelledMarkdown, labelledStudy } from './sae/labelled-study.ts';
import { type PlantedLine, plantedChecks, plantedMarkdown } from './sae/planted-checks.ts';
import { type SpellingResult, spellingMarkdown, spellingStudy, wordsOf } from './sae/spelling-study.ts';
import { type SweepRow, type SweepSettings, sweepMarkdown, sweepTable } from './sae/sweep-table.ts';
import type { Subject } from './sae/trained.ts';

const RESULTS = join(import.meta.dirname, 'results');
/** Steps of this size gain nothing from a second thread: give the other core another part of the study. */
const THREADS = 1;
/** Of a word in the stories, for it to be spelled. */
const LEAST_OCCURRENCES = 5;
const note = (text: string): void => console.error(text);
type Options = { seeds: number[]; steps: number };

const settings = ({ seeds, steps }: Options): SweepSettings => ({
  ks: [4, 8, 16, 32],
  seeds,
  steps,
  batch: 512,
  expansion: 16,
  tokens: 8192,
});

/** A pretrained story model and where its stream is read. */
const SMALL = { folder: 'stories260K-hf', hook: 'resid_post.2', width: 64 };
const LARGER = { folder: 'bitstories3M-hf', hook: 'resid_post.4', width: 256 };
const SPELLING = { ...LARGER, hook: 'resid_post.3' };

/** Does something with a pretrained story model and its texts. */
async function withStories<T>(
  { folder, ...place }: typeof SMALL,
  body: (jobs: LocalJobs, subject: Subject, texts: string[]) => Promise<T>,
): Promise<T> {
  if (!hasData) {
    throw new Error('the story model lies in the reference data, which is not here (SEXTANT_DATA)');
  }
  const jobs = new LocalJobs({ threads: THREADS, models: { stories: data('models', folder) } });
  try {
    const texts = JSON.parse(readFileSync(data('text', 'tinystories', 'tinystories_1000.json'), 'utf8')) as string[];
    const corpus = join(jobs.folder, 'stories.jsonl');
    // The model expects single newlines.
    writeFileSync(corpus, texts.map((text) => JSON.stringify({ text: text.replace(/\n+/g, '\n') })).join('\n'));
    (jobs.configuration.corpora as Record<string, string>).stories = corpus;
    const subject: Subject = {
      model: { local: 'stories' },
      ...place,
      corpus: { local: 'stories' },
      context: 128,
    };
    return await body(jobs, subject, texts);
  } finally {
    jobs.close();
  }
}

const stories = (options: Options) =>
  withStories(SMALL, (jobs, subject) => sweepTable(jobs, subject, settings(options), note));
const larger = (options: Options) =>
  withStories(LARGER, (jobs, subject) => sweepTable(jobs, subject, { ...settings(options), ks: [8, 16, 32] }, note));
const labelled = (options: Options) =>
  withStories(SMALL, (jobs, subject) => labelledStudy(jobs, subject, { ...settings(options), k: 8 }));
const spelling = (options: Options) =>
  withStories(SPELLING, (jobs, subject, texts) => {
    const words = wordsOf(texts, LEAST_OCCURRENCES);
    return spellingStudy(jobs, subject, { ...settings(options), expansion: 8, k: 16, words });
  });

async function embedded(options: Options) {
  const jobs = new LocalJobs({ threads: THREADS });
  try {
    const { result } = await jobs.run(lmTrain, {});
    const { model, held_out_loss, entropy_rate } = result;
    note(`language model: held-out loss ${held_out_loss}, entropy of the language ${entropy_rate}`);
    const subject: Subject = {
      model: { id: model },
      hook: 'resid_post.1',
      width: 64,
      corpus: { planted: { seed: 0 } },
      context: 48,
    };
    return await sweepTable(jobs, subject, settings(options), note);
  } finally {
    jobs.close();
  }
}

const PARTS = {
  planted: {
    title: 'Planted dictionaries (acceptance checks 4 to 8)',
    run: async ({ seeds }: Options): Promise<unknown> => ({ lines: await plantedChecks(seeds, note) }),
    show: (result: unknown) => plantedMarkdown((result as { lines: PlantedLine[] }).lines),
  },
  stories: {
    title: 'Pretrained story model (260 K parameters, resid_post.2, P = 16 d = 1024)',
    run: (options: Options): Promise<unknown> => stories(options),
    show: (result: unknown) => sweepMarkdown((result as { rows: SweepRow[] }).rows),
  },
  larger: {
    title: 'Larger pretrained story model (3.3 M parameters, resid_post.4, P = 16 d = 4096)',
    run: (options: Options): Promise<unknown> => larger(options),
    show: (result: unknown) => sweepMarkdown((result as { rows: SweepRow[] }).rows),
  },
  embedded: {
    title: "The embedded default's model (generated language, resid_post.1, P = 16 d = 1024)",
    run: (options: Options): Promise<unknown> => embedded(options),
    show: (result: unknown) => sweepMarkdown((result as { rows: SweepRow[] }).rows),
  },
  labelled: {
    title: 'Labelled texts and steering (story model, resid_post.2, P = 1024, k = 8)',
    run: (options: Options): Promise<unknown> => labelled(options),
    show: (result: unknown) => labelledMarkdown(result as LabelledResult),
  },
  spelling: {
    title: 'Absorption of first letters (story model of 3.3 M parameters, resid_post.3, P = 8 d = 2048, k = 16)',
    run: (options: Options): Promise<unknown> => spelling(options),
    show: (result: unknown) => spellingMarkdown(result as SpellingResult),
  },
};
/** What `sweep-table.ts` asks for, and the defaults of `sae.train` that it leaves as they are. */
const RECIPE =
  'On language models every autoencoder is trained by one recipe on the same batches (other rates and encoder scales were tried on the story model before these runs; none was adopted): Adam ' +
  'at 2e-3 with 100 steps of warm-up and decay over the last fifth, batches of 512, activations scaled to a mean square ' +
  'of 1, decoder bias begun at the geometric median, unit decoder rows, gradient norm at most 1, auxiliary loss 1/32 for ' +
  'latents silent over a tenth of the tokens. TopK applies ReLU after the selection. Each k is trained on its own; nMSE, ' +
  'loss recovered and the rest are of held-out text.';
type Part = keyof typeof PARTS;

export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '3' },
      steps: { type: 'string', default: '3000' },
      show: { type: 'boolean', default: false },
    },
  });
  const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed);
  const options = { seeds, steps: Number(values.steps) };
  mkdirSync(RESULTS, { recursive: true });
  const parts = (values.show ? [] : positionals.length > 0 ? positionals : Object.keys(PARTS)) as Part[];
  for (const part of parts) {
    if (!(part in PARTS)) {
      throw new Error(`there is no part '${part}'; parts: ${Object.keys(PARTS).join(', ')}`);
    }
    const began = performance.now();
    const result = (await PARTS[part].run(options)) as Record<string, unknown>;
    const seconds = Math.round((performance.now() - began) / 1000);
    const host = { cpu: cpus()[0]?.model, threads: THREADS, node: process.version, dtype: 'float32', device: 'cpu' };
    writeFileSync(
      join(RESULTS, `sae-${part}.json`),
      `${JSON.stringify({ ...options, host, seconds, ...result }, null, 1)}\n`,
    );
  }
  const text = page();
  writeFileSync(join(RESULTS, 'sae.md'), text);
  console.log(text);
}

/** The generated page, of the parts that have results. */
export function page(): string {
  const sections = (Object.keys(PARTS) as Part[]).flatMap((part) => {
    const file = join(RESULTS, `sae-${part}.json`);
    if (!existsSync(file)) {
      return [];
    }
    const saved = JSON.parse(readFileSync(file, 'utf8')) as Options & { seconds: number };
    const how = `Seeds ${saved.seeds.join(', ')}; ${part === 'planted' ? '' : `${saved.steps} steps of 512 tokens; `}${saved.seconds} s.`;
    return [`## ${PARTS[part].title}`, how, PARTS[part].show(saved)];
  });
  const text = [
    '# AbsTopK against TopK',
    'Made by `npm run study -- sae`; ± is the standard deviation over seeds.',
    RECIPE,
    ...sections,
  ];
  return `${text.join('\n\n')}\n`;
}
